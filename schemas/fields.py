"""The field registry of a tenant: what its CRM calls things, which fields a decision needs, and from when on.

Nothing of a field's value leaves ingest but its state and the typed facts that are declared here. Names of fields and
stages are those of the CRM, compared without regard to case.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final, Literal, TypeAlias
from unicodedata import combining, normalize

import msgspec

Outcome: TypeAlias = Literal["open", "won", "lost"]

CLOSED: Final = "closed"
MEANINGS: Final = frozenset({"open", "won", "lost"})
"""Stages that every tenant has: what a field of ``outcome`` makes of a record."""
_FAKES: Final = frozenset(
    {"other", "others", "0", "0.0", "0.00", "01/01/2099", "2099-01-01", "31/12/2099", "2099-12-31"}
)
"""Beside what is no answer anywhere: what is none to a question that a decision rests on."""


class FieldPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One field that a decision, the next step, a handover or a forecast rests on."""

    names: list[str] = []
    """What CRMs call it: one of them is enough. Empty: as it is called here."""
    due_stage: str | None = None
    """The stage from which on it must be filled; None: that of the object. See ``ObjectFields.due_stage``."""
    owner: str | None = None
    """The role that fills it; None: that of whoever owns the record."""
    used_by: list[str] = []
    """The roles that read it."""
    placeholders: list[str] = []
    """What fills it without saying anything, beside the registry's."""
    defaults: list[str] = []
    """What the CRM puts in by itself: a field that still holds it was not filled by anybody."""


class ObjectFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of record. With fields of ``close_date`` it is a deal: reviewed, forecast, won or lost."""

    names: list[str] = []
    """What CRMs call such records (``Opportunity``, ``0-3``, ``crm.lead``); the first stands in links."""
    stage: list[str] = []
    """Fields whose value is the stage; declared, so it is kept."""
    owner: list[str] = []
    """Fields whose value is the owner's key; kept."""
    close_date: list[str] = []
    """Fields whose value is the expected close date; kept as a date."""
    decision: list[str] = []
    """Fields that a decision needs: their completeness is data quality. A name of ``fields``, or of the CRM."""
    due_stage: str | None = None
    """The stage from which on fields must be filled: one of ``stages``, or won, lost or closed. None: at once."""
    stages: list[str] = []
    """Stages of an open record in their order; a stage that stands nowhere is open, and before all of them."""
    won: list[str] = []
    """Stages of what is won."""
    lost: list[str] = []
    """Stages of what is lost."""
    outcome: dict[str, dict[str, Outcome]] = {}
    """Where a field of its own says how a record ended: what its values mean (``{"status": {"won": "won"}}``)."""
    fields: dict[str, FieldPolicy] = {}
    """What is known of single fields, by the name that the lists here use."""
    next_step: list[str] = []
    """Fields that say what happens next; one of them is enough."""
    next_step_days: int = 14
    """After so many days an unchanged next step is out of date."""
    handoff: list[str] = []
    """Fields that whoever takes over a won deal needs: due two working days after it was won."""
    handoff_roles: list[str] = []
    """The roles that take over."""
    forecast: list[str] = []
    """Fields whose value is the forecast category; kept."""
    commit: list[str] = msgspec.field(default_factory=lambda: ["commit"])
    """The categories that promise a deal."""
    commit_stage: str | None = None
    """The stage from which on a deal counts as promised, whatever its category."""
    evidence: list[str] = []
    """Fields that must be filled when a deal is promised."""
    duplicates: bool = True
    """Whether such records are looked at for duplicates."""
    link: str = ""
    """Address of a record in the CRM with {record} in it; empty: that of the source."""


class FieldRegistry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A tenant's objects by name, and the texts that fill a field without saying anything."""

    objects: dict[str, ObjectFields]
    placeholders: list[str] = []
    """Beside the usual ones (n/a, tbd, -, …)."""

    @cached_property
    def nouns(self) -> dict[str, str]:
        """The object of each name, in lower case."""
        return {name.casefold(): noun for noun, fields in self.objects.items() for name in (noun, *fields.names)}

    @cached_property
    def facts(self) -> dict[tuple[str, str], str]:
        """The typed fact (stage, owner, …) that each (object, field in lower case) gives."""
        return {
            (noun, field.casefold()): fact
            for noun, fields in self.objects.items()
            for fact, names in facts_of(fields)
            for field in names
        }

    @cached_property
    def meanings(self) -> dict[tuple[str, str], dict[str, Outcome]]:
        """What the values of each (object, field in lower case) say of how a record ended, by folded value."""
        return {
            (noun, field.casefold()): {folded(value): meaning for value, meaning in values.items()}
            for noun, fields in self.objects.items()
            for field, values in fields.outcome.items()
        }

    @cached_property
    def ends(self) -> frozenset[tuple[str, str]]:
        """The (object, folded stage) of what is won or lost."""
        return frozenset(
            (noun, folded(stage)) for noun, fields in self.objects.items() for stage in (*fields.won, *fields.lost)
        )

    @cached_property
    def blanks(self) -> frozenset[str]:
        """The placeholders of any field, as they are compared."""
        return frozenset(map(folded, self.placeholders))

    @cached_property
    def idle(self) -> dict[tuple[str, str], dict[str, str]]:
        """The state of folded values that answer nothing, by (object, field in lower case) that something rests on."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for noun, fields in self.objects.items():
            for name in wanted(fields):
                policy = fields.fields.get(name, _PLAIN)
                states = dict.fromkeys(_FAKES, "placeholder")
                states |= dict.fromkeys(map(folded, policy.placeholders), "placeholder")
                states |= dict.fromkeys(map(folded, policy.defaults), "default")
                found |= {(noun, each.casefold()): states for each in policy.names or [name]}
        return found


_PLAIN: Final = FieldPolicy()


def folded(text: str) -> str:
    """Return ``text`` as placeholders are compared: without outer blanks, case and accents."""
    text = text.strip().casefold()
    if text.isascii():
        return text
    return "".join(letter for letter in normalize("NFKD", text) if not combining(letter))


def wanted(fields: ObjectFields) -> list[str]:
    """Return the names of the fields that something rests on, each once."""
    return list(dict.fromkeys([*fields.decision, *fields.next_step, *fields.handoff, *fields.evidence]))


def facts_of(fields: ObjectFields) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield each typed fact and the fields that give it."""
    yield "outcome", fields.outcome
    yield "forecast", fields.forecast
    yield "stage", fields.stage
    yield "owner", fields.owner
    yield "close_date", fields.close_date


# What Salesforce, HubSpot, Odoo, Pipedrive, Dynamics 365 and Zoho call things as they are delivered. Odoo and Pipedrive
# send stages as numbers of the tenant's own: their order must be declared, how a deal ended is known.
_STAGE: Final = ["stage", "StageName", "dealstage", "hs_pipeline_stage", "stage_id", "stageid", "stepname"]
_OWNER: Final = ["owner", "OwnerId", "hubspot_owner_id", "user_id", "owner_id", "_ownerid_value"]
_CLOSE: Final = [
    *("close_date", "CloseDate", "date_deadline", "expected_close_date", "estimatedclosedate", "Closing_Date"),
]
_NEXT_STEP: Final = [
    *("next_step", "NextStep", "hs_next_step", "activity_summary", "activity_date_deadline"),
    *("next_activity_id", "next_activity_date"),
]
_ACTIVITIES: Final = [
    *("Task", "Tasks", "Event", "Events", "Calls", "EmailMessage", "phonecall", "appointment", "letter", "activity"),
    *("email", "emails", "note", "notes", "call", "meetings", "communications"),
    *("mail.activity", "mail.message", "calendar.event", "0-27", "0-46", "0-47", "0-48", "0-49"),
]
_DEAL: Final = ObjectFields(
    names=["Opportunity", "deal", "deals", "0-3", "crm.lead", "Potentials"],
    stage=_STAGE,
    owner=_OWNER,
    close_date=_CLOSE,
    stages=[
        # Salesforce and Zoho
        *("Prospecting", "Qualification", "Needs Analysis", "Value Proposition", "Id. Decision Makers"),
        *("Identify Decision Makers", "Perception Analysis", "Proposal/Price Quote", "Negotiation/Review"),
        # HubSpot
        *("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "decisionmakerboughtin", "contractsent"),
        # Dynamics 365
        *("1-Qualify", "2-Develop", "3-Propose", "4-Close", "Qualify", "Develop", "Propose", "Close"),
    ],
    won=["Closed Won", "closedwon"],
    lost=["Closed Lost", "closedlost", "Closed-Lost to Competition", "Closed Lost to Competition"],
    outcome={
        "status": {"open": "open", "won": "won", "lost": "lost"},  # Pipedrive
        "won_status": {"pending": "open", "won": "won", "lost": "lost"},  # Odoo
        "statecode": {"0": "open", "1": "won", "2": "lost"},  # Dynamics 365
        "IsWon": {"true": "won"},  # Salesforce
        "hs_is_closed_won": {"true": "won"},  # HubSpot
        "hs_is_closed_lost": {"true": "lost"},
    },
    fields={
        "amount": FieldPolicy(names=["amount", "value", "expected_revenue", "estimatedvalue"]),
        "close date": FieldPolicy(names=_CLOSE),
        "next step": FieldPolicy(names=_NEXT_STEP),
    },
    decision=["amount", "close date"],
    next_step=["next step"],
    forecast=["ForecastCategoryName", "hs_manual_forecast_category", "msdyn_forecastcategory"],
    commit=["commit", "100000003"],
)

DEFAULT: Final = FieldRegistry(
    objects={
        "opportunity": _DEAL,
        "lead": ObjectFields(
            names=["Lead", "leads", "0-136"],
            stage=["Status", "Lead_Status"],
            owner=_OWNER,
            stages=["New", "Open - Not Contacted", "Contacted", "Working - Contacted", "Nurturing"],
            won=["Closed - Converted", "Converted", "Qualified"],
            lost=["Closed - Not Converted", "Unqualified", "Junk Lead", "Lost Lead"],
        ),
        "contact": ObjectFields(
            names=["Contact", "contacts", "0-1", "person", "persons"],
            stage=["lifecyclestage"],
            owner=_OWNER,
            fields={
                "email": FieldPolicy(names=["email", "emails", "email_from", "emailaddress1"]),
                "phone": FieldPolicy(names=["phone", "phones", "mobile", "MobilePhone", "telephone1"]),
            },
            decision=["email", "phone"],
        ),
        "account": ObjectFields(
            names=["Account", "company", "companies", "0-2", "organization", "res.partner", "Accounts"], owner=_OWNER
        ),
        "case": ObjectFields(
            names=["Case", "incident", "ticket", "tickets", "0-5", "helpdesk.ticket", "project.task", "Cases"],
            stage=["Status", "statuscode", "hs_pipeline_stage", "stage_id"],
            owner=_OWNER,
            won=["Closed", "Solved"],
        ),
        "activity": ObjectFields(names=_ACTIVITIES, owner=_OWNER, duplicates=False),
    }
)
