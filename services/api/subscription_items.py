"""What is given and shown of subscriptions."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from schemas.subscriptions import ChangeKind, Severity, SubjectKind, Tier
from services.api.shapes import Anything, Given, Identifier, Label, Name, Plain, Shown

_SECRET_SIZES: Final = range(24, 65)
PREFIX: Final = "whsec_"


def _secret(text: str) -> str:
    try:
        size = len(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except binascii.Error:
        size = 0
    if not text.startswith(PREFIX) or size not in _SECRET_SIZES:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64")
    return text


Url = Annotated[str, Field(min_length=8, max_length=2048), Plain]
Secret = Annotated[str, Field(max_length=128), Plain, AfterValidator(_secret)]
KindName = Literal["webhook", "alertmanager", "email", "teams"]
Many: Any = Field(default_factory=list, max_length=200)


class FilterGiven(Given):
    """Of which alerts is told; an empty list takes all. `kinds`: of which changes, empty: those that call for somebody.

    Who was told that an alert opened is always told that it ended.
    """

    rules: list[Label] = Many
    severities: list[Severity] = Many
    tiers: list[Tier] = Many
    subject_kinds: list[SubjectKind] = Many
    teams: list[Label] = Many
    kinds: list[ChangeKind] = Many


class NewSubscription(Given):
    """A subscription to be made. `secret`: of a webhook; without it one is made."""

    id: Identifier | None = None
    kind: KindName
    name: Name | None = None
    url: Url | None = None
    secret: Secret | None = None
    filter: FilterGiven = Field(default_factory=FilterGiven)
    options: Anything = Field(default_factory=dict)


class SubscriptionChange(Given):
    """What to change; what is absent stays. `rotate`: a new secret, the old one signs beside it until `retire`."""

    name: Name | None = None
    url: Url | None = None
    filter: FilterGiven | None = None
    options: Anything | None = None
    state: Literal["active", "paused"] | None = None
    rotate: bool = False
    retire: bool = False


class SubscriptionShown(Shown):
    """A subscription. `url`: its host only; `secrets`: how many sign; `waiting`: messages not delivered yet."""

    id: str
    kind: str
    name: str
    url: str | None = None
    secrets: int
    filter: dict[str, Any]
    options: dict[str, Any]
    key_id: str
    person: str | None = None
    state: str
    reason: str | None = None
    failing_since: datetime | None = None
    waiting: int
    created_at: datetime
    updated_at: datetime


class SubscriptionMade(SubscriptionShown):
    """A subscription with the one look at its new secret."""

    secret: str | None = None


class SubscriptionPage(Shown):
    """One page of subscriptions."""

    items: list[SubscriptionShown]
    next: str | None = None


GIVEN: Final[dict[str, Any]] = {
    "kind": "webhook",
    "name": "The help desk",
    "url": "https://desk.example.com/hooks/uptake",
    "filter": {"severities": ["critical", "emergency"]},
}
SHOWN: Final[dict[str, Any]] = {
    "id": "sub_4b1f0c9e2a7d5386",
    "kind": "webhook",
    "name": "The help desk",
    "url": "https://desk.example.com",
    "secrets": 1,
    "filter": {"severities": ["critical", "emergency"]},
    "options": {},
    "key_id": "a1b2c3d4",
    "person": None,
    "state": "active",
    "reason": None,
    "failing_since": None,
    "waiting": 0,
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:00Z",
}
MADE: Final = {**SHOWN, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}
