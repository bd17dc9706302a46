"""The field registry of a tenant: what its CRM calls things, and which fields a decision needs.

Nothing of a field's value leaves ingest but its state and the typed facts that are declared here.
"""

from functools import cached_property
from typing import Final

import msgspec


class ObjectFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of record. Field names are those of the CRM, compared without regard to case."""

    names: list[str] = []
    """What CRMs call such records (``Opportunity``, ``0-3``, ``crm.lead``)."""
    stage: list[str] = []
    """Fields whose value is the stage; declared, so it is kept."""
    owner: list[str] = []
    """Fields whose value is the owner's key; kept."""
    close_date: list[str] = []
    """Fields whose value is the expected close date; kept as a date."""
    decision: list[str] = []
    """Fields that a decision needs: their completeness is data quality."""
    due_stage: str | None = None
    """The stage from which on the decision fields must be filled; None: from the beginning."""


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
        """The typed fact (stage, owner, close_date) that each (object, field in lower case) gives."""
        return {
            (noun, field.casefold()): fact
            for noun, fields in self.objects.items()
            for fact, names in (("stage", fields.stage), ("owner", fields.owner), ("close_date", fields.close_date))
            for field in names
        }

    @cached_property
    def blanks(self) -> frozenset[str]:
        """The placeholders, as they are compared."""
        return frozenset(text.strip().casefold() for text in self.placeholders)


_STAGE: Final = ["stage", "StageName", "dealstage", "hs_pipeline_stage", "stage_id", "stageid", "stepname", "Stage"]
_OWNER: Final = ["owner", "OwnerId", "ownerid", "hubspot_owner_id", "user_id", "owner_id", "Owner", "_ownerid_value"]
_CLOSE: Final = ["close_date", "CloseDate", "closedate", "date_deadline", "expected_close_date", "estimatedclosedate"]
_ACTIVITIES: Final = [
    *("Task", "Tasks", "Event", "Events", "Calls", "EmailMessage", "phonecall", "appointment", "letter", "activity"),
    *("email", "emails", "note", "notes", "call", "meetings", "communications"),
    *("mail.activity", "mail.message", "calendar.event", "0-27", "0-46", "0-47", "0-48", "0-49"),
]

DEFAULT: Final = FieldRegistry(
    objects={
        "opportunity": ObjectFields(
            names=["Opportunity", "deal", "deals", "0-3", "crm.lead", "Deals", "Potentials"],
            stage=_STAGE,
            owner=_OWNER,
            close_date=[*_CLOSE, "Closing_Date"],
            decision=["amount", "value", "expected_revenue", "estimatedvalue", "close_date", "CloseDate", "closedate"],
        ),
        "lead": ObjectFields(names=["Lead", "leads", "0-136", "Leads"], stage=["Status", "status"], owner=_OWNER),
        "contact": ObjectFields(
            names=["Contact", "contacts", "0-1", "person", "persons", "Contacts"],
            stage=["lifecyclestage"],
            owner=_OWNER,
            decision=["email", "phone"],
        ),
        "account": ObjectFields(
            names=["Account", "company", "companies", "0-2", "organization", "res.partner", "Accounts"], owner=_OWNER
        ),
        "case": ObjectFields(
            names=["Case", "incident", "ticket", "tickets", "0-5", "helpdesk.ticket", "project.task", "Cases"],
            stage=["Status", "statuscode", "hs_pipeline_stage", "stage_id"],
            owner=_OWNER,
        ),
        "activity": ObjectFields(
            names=_ACTIVITIES,
            owner=_OWNER,
        ),
    }
)
