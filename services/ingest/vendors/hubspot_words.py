"""What HubSpot calls objects and the origins of changes, and what we call them. Pure."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.fields import FieldRegistry

_TYPES: Final = {
    "0-1": "contact",
    "0-2": "company",
    "0-3": "deal",
    "0-5": "ticket",
    "0-7": "product",
    "0-8": "line_item",
}
_IDS: Final = {name: type_id for type_id, name in _TYPES.items()}
_GENERIC: Final = "object"

_UI: Final = (
    *("CRM_UI", "CRM_UI_BULK_ACTION", "CONTACTS_WEB", "SALES", "SALES_MESSAGES", "SIDEKICK", "EXTENSION"),
    *("ENGAGEMENTS", "MEETINGS", "QUOTES", "PLAYBOOKS", "HELP_DESK"),
)
_ORIGINS: Final = (
    dict.fromkeys(_UI, "ui")
    | dict.fromkeys(("MOBILE_IOS", "MOBILE_ANDROID"), "mobile")
    | dict.fromkeys(("IMPORT", "EMAIL_INBOX_IMPORT", "MIGRATION", "BATCH_UPDATE"), "import")
    | dict.fromkeys(("API", "INTEGRATION", "INTEGRATIONS_PLATFORM"), "api")
    | dict.fromkeys(
        (
            *("INTEGRATIONS_SYNC", "SALESFORCE", "GMAIL_INTEGRATION", "EMAIL_INTEGRATION", "SLACK_INTEGRATION"),
            *("BCC_TO_CRM", "FORWARD_TO_CRM"),
        ),
        "sync",
    )
    | dict.fromkeys(
        (
            *("AUTOMATION_PLATFORM", "WORKFLOWS", "CALCULATED", "DATA_ENRICHMENT", "INTERNAL_PROCESSING"),
            *("HUBSPOT_INTERNAL", "SEQUENCES", "BOT", "PROSPECTING_AGENT", "BREEZE_AGENT"),
        ),
        "automation",
    )
)
_AUTOMATIONS: Final = ("AUTO_ASSOCIATE", "MERGE_")
"""What the names of further automations begin with."""
_BULK: Final = "CRM_UI_BULK_ACTION"
_USER: Final = re.compile(r"userId:([0-9]{1,20})")
_LONGEST: Final = 64
"""No name that is known is longer, and no id of a user."""


class Actor(NamedTuple):
    """Who made a change, where HubSpot names a user, and how it came about."""

    user: str | None
    origin: str
    confidence: str
    bulk: bool


def actor_of(change_source: object, source_id: object) -> Actor:
    """Return the actor in ``changeSource`` and ``sourceId``; what HubSpot did not document is ``unknown``."""
    source = change_source[:_LONGEST] if isinstance(change_source, str) else ""
    return _actor(source, source_id[:_LONGEST] if isinstance(source_id, str) else "")


@lru_cache(4096)
def _actor(change_source: str, source_id: str) -> Actor:
    match = _USER.fullmatch(source_id)
    user = match[1] if match else None
    origin = _ORIGINS.get(change_source)
    if origin is None and change_source.startswith(_AUTOMATIONS):
        origin = "automation"
    if origin is None:
        return Actor(user, "unknown", "none", bulk=False)
    return Actor(user, origin, "stated", bulk=change_source == _BULK)


def object_of(family: str, type_id: str | None) -> str:
    """Return the one name of an object, whichever of old-style name and type id a subscription sends."""
    return family if family != _GENERIC or type_id is None else _TYPES.get(type_id, type_id)


def noun_of(name: str, fields: FieldRegistry) -> str:
    """Return the noun of an object, which the registry may know by its name or by its type id."""
    known = fields.nouns
    return known.get(name.casefold()) or known.get(_IDS.get(name, ""), name)
