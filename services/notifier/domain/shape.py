"""What the planner, the channels and the sender hand to each other.

A message has one id, which is a function of what it tells to whom: planned twice it is the same message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from schemas.subscriptions import Filter

MessageKind: TypeAlias = Literal["change", "group", "digest", "correction", "notice"]
OutcomeKind: TypeAlias = Literal["delivered", "refused", "unreachable", "blocked", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as the planner sees it. ``options``: as they are kept, ``schemas.subscriptions`` reads them.

    ``person``: whom the key that made it is bound to; it tells what that key may see.
    """

    tenant: str
    id: str
    kind: str
    name: str
    filter: Filter
    options: Mapping[str, Any]
    key_id: str
    person: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of an alert. ``body``: the published alert after it, as this subscription may see it."""

    seq: int
    alert: str
    kind: str
    state: str
    actor: str
    as_of: datetime
    at: datetime
    body: Mapping[str, Any]
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A message to be delivered from ``due_at`` on.

    ``recipient``: a person or an address; empty: the channel as such. ``lane``: messages of one lane of a subscription
    arrive in their order, one behind the other; empty: in any. ``told_on``: the recipient's day that it counts on.
    """

    message: str
    kind: MessageKind
    body: Mapping[str, Any]
    due_at: datetime
    alerts: tuple[str, ...] = ()
    changes: tuple[int, ...] = ()
    recipient: str = ""
    lane: str = ""
    told_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One attempt to deliver a message at ``now``. ``url`` and ``secrets`` are opened; the newest secret is the first.

    ``number``: which attempt of all it is, from 1.
    """

    delivery: int
    tenant: str
    subscription: str
    kind: str
    options: Mapping[str, Any]
    url: str | None
    secrets: tuple[str, ...]
    message: str
    message_kind: MessageKind
    recipient: str
    alerts: tuple[str, ...]
    body: Mapping[str, Any]
    number: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an attempt. ``error``: one line for the operator, without secrets.

    refused: the other side answered, and not that it took it; unreachable: there was no answer; blocked: the address
    may not be delivered to; unknown: it may have been taken. ``gone``: the other side wants no more, ever.
    ``final``: this message never arrives, which says nothing of others.
    ``retry_after``: how long it asked us to wait.
    """

    kind: OutcomeKind
    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    gone: bool = False
    final: bool = False


def message_id(
    tenant: str, subscription: str, recipient: str, kind: str, alerts: Sequence[str], changes: Sequence[int | str]
) -> str:
    """Return the id of the message that tells ``recipient`` of these changes of these alerts.

    ``changes``: their numbers; for what is told without a change (a digest, a repetition) whatever tells which it is.
    """
    parts = (tenant, subscription, recipient, kind, ",".join(alerts), ",".join(map(str, changes)))
    return f"msg_{blake2b(chr(0).join(parts).encode(), digest_size=16).hexdigest()}"
