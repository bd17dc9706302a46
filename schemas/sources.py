"""Sources: the CRMs and collectors that send, of which kind each is, and what may be set for it.

The API checks options against these shapes, ingest reads them back; an option that is not named here does not exist.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from schemas import places


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be set for a source of any kind."""

    environment: str = "production"
    """Where the CRM runs. Only production counts as adoption."""
    public_url: str = ""
    """How the sender spells our base address, where that is signed; empty: the setting UPTAKE_PUBLIC_URL."""
    requests_per_second: int = 0
    """The most requests of this source that are taken; 0: the setting UPTAKE_SOURCE_RATE."""
    link: str = ""
    """Address of a record in the CRM with {record} in it, for work lists.

    {object} in it is the first of the names that the field registry has for the object.
    """

    def __post_init__(self) -> None:
        """Refuse what could never be read or followed."""
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        reason = places.problem(self.link)
        if reason is not None:
            yield f"link {reason}"


class DataverseOptions(Options, frozen=True, kw_only=True):
    """Microsoft Dynamics 365 and Dataverse."""

    header: str = "x-uptake-secret"
    """The header that carries the secret (authentication HttpHeader)."""
    application_users: tuple[str, ...] = ()
    """Ids of the users that are software."""


class OdooOptions(Options, frozen=True, kw_only=True):
    """Odoo 17 to 19."""

    software_users: tuple[str, ...] = ("1",)
    """Ids of the users that are software; 1 is OdooBot."""


class SalesforceOptions(Options, frozen=True, kw_only=True):
    """Salesforce: outbound messages, Change Data Capture and platform events."""

    ui_clients: tuple[str, ...] = ("SfdcInternalAPI",)
    """Client names in changeOrigin that are people at the screen."""
    import_clients: tuple[str, ...] = ("dataloader", "DataLoaderBulkUI", "DataLoaderPartnerUI", "DataLoaderBatch")
    """Client names in changeOrigin that are imports."""
    software_users: tuple[str, ...] = ()
    """Ids of the users that are software, with 15 or 18 characters."""
    login_types: tuple[str, ...] = ("Application",)
    """What LoginType says of people at the screen; single sign-on adds ``SAML Sfdc Initiated SSO`` and the like."""


class HubspotOptions(Options, frozen=True, kw_only=True):
    """HubSpot."""

    portal: str = ""
    """The portal that may send; empty: any. Events of other portals are dead letters."""
    signature: Literal["v3", "v2", "v1"] = "v3"
    """The version that must be there and fit. There is no falling back to another one."""


class PipedriveOptions(Options, frozen=True, kw_only=True):
    """Pipedrive, webhooks v2 and v1."""

    company: str = ""
    """The company that may send; empty: any."""


class OktaOptions(Options, frozen=True, kw_only=True):
    """Okta event hooks."""

    applications: tuple[str, ...] = ()
    """Ids or names of the application instances that are the CRM. Empty: no sign-on counts as a login.

    Ids are compared exactly, names (displayName and alternateId) without regard to case.
    """


class AnalyticsOptions(Options, frozen=True, kw_only=True):
    """Segment, RudderStack and PostHog."""

    login_events: tuple[str, ...] = ("CRM Login", "Signed In", "User Signed In", "Logged In", "login")
    """Names of the events that are logins. Names are compared without regard to case."""
    ignored_events: tuple[str, ...] = (
        *("Application Installed", "Application Updated", "Application Backgrounded", "Application Uninstalled"),
        *("Application Crashed", "Push Notification Received"),
    )
    """Names of the events that are no deed of a person."""
    views_are_activity: bool = True
    """Whether page and screen views (and the clicks that PostHog captures by itself) are activity."""


CONSTANT: Final = "="
"""What a constant of a mapping begins with."""
_JOINED: Final = frozenset({"id", "type", "origin"})
ATTRIBUTES: Final = _JOINED | {
    *("time", "user", "email", "on_behalf_of", "environment", "method", "object", "record", "owner", "stage"),
    *(
        "close_date",
        "forecast",
        "fields",
        "fields_required",
        "fields_filled",
        "report",
        "feature",
        "rows",
        "task",
        "automatic",
    ),
    *("bulk", "module", "delivery"),
}
_POINTER: Final = re.compile(r"(/([^~]|~[01])*)?")
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


class CustomOptions(Options, frozen=True, kw_only=True):
    """Any JSON, read by a declared mapping; without one, events in the shape of the contract."""

    header: str = "x-uptake-secret"
    """The header that carries the secret, unless it stands in the address."""
    items: str = ""
    """JSON pointer to the array of events in a body; empty: the body is one event, or an array of them."""
    mapping: dict[str, str] = {}
    """From attribute (id, type, time, user, object, fields, …) to JSON pointer into an item, or to a constant after
    ``=``. For id, type and origin several pointers may stand with spaces between; what they find is joined by spaces.
    """
    types: dict[str, str] = {}
    """From what stands at the pointer of ``type`` to the event type; ``*`` for all others, an empty type for what is
    not wanted.
    """
    origins: dict[str, str] = {}
    """From what stands at the pointer of ``origin`` to the origin; ``*`` for all others."""
    time_zone: str = ""
    """Zone of times that are written without an offset (``Europe/Paris``); empty: such times are refused."""

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if not _POINTER.fullmatch(self.items):
            yield "items must be a JSON pointer"
        for name, place in self.mapping.items():
            if name not in ATTRIBUTES:
                yield f"mapping names {name}, which is no attribute of an event"
            elif place.startswith(CONSTANT):
                if name == "fields":
                    yield "the place of fields must be a JSON pointer to an object"
            elif not all(map(_POINTER.fullmatch, pointers(name, place))):
                yield f"the place of {name} must be a JSON pointer, or a constant after ="
        if self.mapping and "type" not in self.mapping:
            yield "mapping must say what gives the type"
        if not all(kind == "" or _TYPE.fullmatch(kind) for kind in self._kinds()):
            yield "types must lead to event types such as crm.record.updated"
        if self.time_zone and not _is_zone(self.time_zone):
            yield "time_zone must be the name of a time zone"

    def _kinds(self) -> Iterator[str]:
        yield from self.types.values()
        stated = self.mapping.get("type", "")
        if stated.startswith(CONSTANT):
            yield stated.removeprefix(CONSTANT)


def pointers(name: str, place: str) -> list[str]:
    """Return the JSON pointers that a mapping gives for the attribute ``name``."""
    return place.split(" ") if name in _JOINED else [place]


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


class Kind(msgspec.Struct, frozen=True):
    """What is known of a kind of source."""

    name: str
    options: type[Options]
    login_hours: int | None = None
    """After how many hours without a login the source of logins counts as stale; None: it tells of no logins."""
    logins_imported: bool = False
    """Whether its hooks tell of no login, so that whatever is known of logins was imported."""
    by_key: bool = False
    """Whether its senders know a host and a key only, so the key leads to the source."""
    in_path: bool = False
    """Whether the secret is the last part of the address."""
    secret_given: bool = False
    """Whether the CRM makes the secret; else we make it when none is given."""
    secret_form: str = "{secret}"  # noqa: S105 - a form, no secret
    """How a secret that we make is spelled."""
    merges: bool | None = None
    """Whether it tells which record turned out to be a duplicate. None: as whoever sends declares."""


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("dataverse", DataverseOptions, login_hours=72, merges=False),
        Kind("odoo", OdooOptions, login_hours=72, in_path=True, merges=False),
        Kind("salesforce-outbound", SalesforceOptions, login_hours=96, in_path=True, merges=False),
        Kind("salesforce-cdc", SalesforceOptions, login_hours=96, merges=False),
        Kind("hubspot", HubspotOptions, login_hours=72, logins_imported=True, secret_given=True, merges=False),
        Kind(
            "pipedrive",
            PipedriveOptions,
            login_hours=72,
            secret_form="uptake:{secret}",  # noqa: S106 - the same
            merges=True,
        ),
        Kind("zoho", Options, logins_imported=True, merges=False),
        Kind("okta", OktaOptions, login_hours=72),
        Kind("standard-webhooks", CustomOptions, login_hours=72, secret_given=True),
        Kind("segment", AnalyticsOptions, login_hours=72, by_key=True),
        Kind("rudderstack", AnalyticsOptions, login_hours=72, by_key=True),
        Kind("posthog", AnalyticsOptions, login_hours=72, by_key=True),
        Kind("custom", CustomOptions, login_hours=72),
    )
}


USUAL_LOGIN_HOURS: Final = 72
"""For sources of logins that are of no kind, or of one that tells of none by itself."""


def tells_merges(kinds: Iterable[str], *, told: bool) -> bool:
    """Return whether sources of ``kinds`` tell which records turned out to be duplicates; ``told``: one ever was.

    A CRM that tells of the record that is left, or of a deletion, says nothing of the one that was a duplicate. Of
    whoever sends by themselves nobody knows before they do.
    """
    tell = {KINDS[kind].merges for kind in kinds if kind in KINDS}
    return True in tell or (told and False not in tell)


def login_hours(kind: str | None) -> int:
    """Return after how many hours without a login a source of ``kind`` counts as stale."""
    found = KINDS.get(kind or "")
    return USUAL_LOGIN_HOURS if found is None or found.login_hours is None else found.login_hours


def logins_imported(kind: str | None) -> bool:
    """Tell whether the logins of a source of ``kind`` can only have been imported."""
    found = KINDS.get(kind or "")
    return found is not None and found.logins_imported


class Source(msgspec.Struct, frozen=True):
    """A source as ingest knows it. ``secrets``: the active ones, each enough to open."""

    id: str
    tenant: str
    kind: str
    secrets: tuple[str, ...] = ()
    options: Options = Options()
