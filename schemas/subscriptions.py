"""Subscriptions: who wants to be told of alerts, by which way, of which of them, and what may be set for it.

The API checks filters and options against these shapes, the notifier reads them back; what is not named here does not
exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

OPENING: Final = ("opened", "raised", "reopened", "escalated", "released")
CLOSING: Final = ("resolved", "restated")
QUIET: Final = ("updated", "acknowledged", "snoozed", "woken", "assigned", "noted", "planned", "suppressed", "labelled")
"""Told only to a machine that asks for them by name."""

Severity = Literal["info", "warning", "critical", "emergency"]
Tier = Literal["suspected", "confirmed"]
Language = Literal["en", "de", "fr"]
Clock = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
SubjectKind = Literal["user", "team", "role", "wave", "tenant"]
ChangeKind = Literal[
    "opened",
    "raised",
    "reopened",
    "escalated",
    "released",
    "resolved",
    "restated",
    "updated",
    "acknowledged",
    "snoozed",
    "woken",
    "assigned",
    "noted",
    "planned",
    "suppressed",
    "labelled",
]


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Of which alerts is told; an empty list takes all. ``kinds``: of which changes, empty: those that are told."""

    rules: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    tiers: tuple[Tier, ...] = ()
    subject_kinds: tuple[SubjectKind, ...] = ()
    teams: tuple[str, ...] = ()
    kinds: tuple[ChangeKind, ...] = ()


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What may be set for a subscription of its kind."""


class WebhookOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Signed by Standard Webhooks."""


class AlertmanagerOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """A Prometheus Alertmanager, API v2."""


class PeopleOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """What people are told, and when.

    ``roles``: in which roles of the audience; empty: all. ``digest``: how often what can wait is told; on a working
    morning all the same. ``per_day``, ``per_week``: how many messages may interrupt one recipient; emergencies do not
    count. ``opens``, ``closes``: their working hours, as HH:MM in their own zone. ``hold_seconds``: how long a message
    waits for what comes right behind it.
    """

    language: Language = "en"
    roles: tuple[str, ...] = ()
    digest: Literal["daily", "weekly"] = "daily"
    per_day: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3
    per_week: Annotated[int, msgspec.Meta(ge=0, le=500)] = 10
    opens: Clock = "08:00"
    closes: Clock = "18:00"
    hold_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 60

    def __post_init__(self) -> None:
        if self.closes <= self.opens:
            raise ValueError("closes must come after opens")


class EmailOptions(PeopleOptions, frozen=True, kw_only=True, omit_defaults=True):
    """People are written to."""


class TeamsOptions(PeopleOptions, frozen=True, kw_only=True, omit_defaults=True):
    """A channel of Microsoft Teams, by a workflow."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of telling. ``addressed``: it needs a URL; ``signed``: it has secrets; ``people``: it tells people."""

    name: str
    options: type[Options]
    addressed: bool = True
    signed: bool = False
    people: bool = False


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("webhook", WebhookOptions, signed=True),
        Kind("alertmanager", AlertmanagerOptions),
        Kind("email", EmailOptions, addressed=False, people=True),
        Kind("teams", TeamsOptions, people=True),
    )
}


def filter_of(kept: Mapping[str, Any]) -> Filter:
    """Return the filter that is kept.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.convert(kept, Filter)
