"""Sources: the CRMs and collectors that send, of which kind each is, and what may be set for it.

The API checks options against these shapes, ingest reads them back; an option that is not named here does not exist.
"""

from typing import Final

import msgspec


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be set for a source of any kind."""

    environment: str = "production"
    """Where the CRM runs. Only production counts as adoption."""
    public_url: str = ""
    """How the sender spells our base address, where that is signed; empty: the setting UPTAKE_PUBLIC_URL."""
    requests_per_second: int = 0
    """The most requests of this source that are taken; 0: the setting UPTAKE_SOURCE_RATE."""
    link: str = ""
    """Address of a record in the CRM with {object} and {record} in it, for work lists."""


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


class HubspotOptions(Options, frozen=True, kw_only=True):
    """HubSpot."""

    portal: str = ""
    """The portal that may send; empty: any. Events of other portals are dead letters."""
    signature: str = "v3"
    """The version that must be there: v3, v2 or v1. There is no falling back to an older one."""


class PipedriveOptions(Options, frozen=True, kw_only=True):
    """Pipedrive, webhooks v2 and v1."""

    company: str = ""
    """The company that may send; empty: any."""


class OktaOptions(Options, frozen=True, kw_only=True):
    """Okta event hooks."""

    applications: tuple[str, ...] = ()
    """Ids or names of the application instances that are the CRM. Empty: no sign-on counts as a login."""


class AnalyticsOptions(Options, frozen=True, kw_only=True):
    """Segment, RudderStack and PostHog."""

    login_events: tuple[str, ...] = ("CRM Login", "Signed In", "User Signed In", "Logged In", "login")
    """Names of the events that are logins."""
    views_are_activity: bool = True
    """Whether page and screen views are activity."""


class CustomOptions(Options, frozen=True, kw_only=True):
    """Any JSON, read by a declared mapping."""

    header: str = "x-uptake-secret"
    """The header that carries the secret, unless it stands in the address."""
    items: str = ""
    """JSON pointer to the array of events in a body; empty: the body is one event, or an array of them."""
    mapping: dict[str, str] = {}
    """From attribute (id, type, time, user, object, fields, …) to JSON pointer, or to a constant after ``=``."""
    types: dict[str, str] = {}
    """From what stands at the pointer of ``type`` to the event type."""
    origins: dict[str, str] = {}
    """From what stands at the pointer of ``origin`` to the origin."""


class Kind(msgspec.Struct, frozen=True):
    """What is known of a kind of source."""

    name: str
    options: type[Options]
    login_hours: int | None = None
    """After how many hours without a login the source of logins counts as stale; None: it tells of no logins."""
    by_key: bool = False
    """Whether its senders know a host and a key only, so the key leads to the source."""


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("dataverse", DataverseOptions, login_hours=72),
        Kind("odoo", OdooOptions, login_hours=72),
        Kind("salesforce-outbound", SalesforceOptions, login_hours=96),
        Kind("salesforce-cdc", SalesforceOptions, login_hours=96),
        Kind("hubspot", HubspotOptions, login_hours=72),
        Kind("pipedrive", PipedriveOptions, login_hours=72),
        Kind("zoho", Options),
        Kind("okta", OktaOptions, login_hours=72),
        Kind("standard-webhooks", CustomOptions, login_hours=72),
        Kind("segment", AnalyticsOptions, login_hours=72, by_key=True),
        Kind("rudderstack", AnalyticsOptions, login_hours=72, by_key=True),
        Kind("posthog", AnalyticsOptions, login_hours=72, by_key=True),
        Kind("custom", CustomOptions, login_hours=72),
    )
}


class Source(msgspec.Struct, frozen=True):
    """A source as ingest knows it. ``secrets``: the active ones, each enough to open."""

    id: str
    tenant: str
    kind: str
    secrets: tuple[str, ...] = ()
    options: Options = Options()
