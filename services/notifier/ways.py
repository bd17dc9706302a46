"""The ways of telling: for each kind of subscription how its messages are planned, and how one is sent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from services.notifier.domain.shape import Change, Outcome, Planned, Sending, Subscription
from services.notifier.domain.telling import message
from services.postgres import Connection

Send: TypeAlias = Callable[[Sending], Awaitable[Outcome]]
Plan: TypeAlias = Callable[[Connection, Subscription, Sequence[Change], datetime], Awaitable[list[Planned]]]
Due: TypeAlias = Callable[[Connection, Subscription, datetime], Awaitable[list[Planned]]]


async def each_by_itself(
    _tx: Connection, subscription: Subscription, changes: Sequence[Change], now: datetime
) -> list[Planned]:
    """Plan one message for each change, at once: what a machine wants."""
    return [message(subscription, change, now) for change in changes]


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind of subscription is told. ``due``: what is to be told by the clock alone; None: nothing."""

    send: Send
    plan: Plan = each_by_itself
    due: Due | None = None
