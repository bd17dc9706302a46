"""What is known of a group beside its numbers: the time, who may ask, what is hidden, silent or was never there."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Final, NamedTuple

from services.metrics.catalogue import by_code

ALWAYS_THERE: Final = frozenset({"activity", "directory"})
"""Kinds of data that are not looked for."""
MERGES: Final = "merges"
"""Which records turned out to be duplicates. None of them is an answer only where a source would tell."""


def _shows(_first: date, _last: date) -> bool:
    return False


class Silence(NamedTuple):
    """A time in which a source told nothing though it should have, and what is missing still is. None: still silent."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a group beside its numbers.

    ``now``: of the tenant, or the knowledge time that is asked for. ``zones``: where people work. ``hides``: whether
    the group stays hidden from a first to a last day. ``since``, ``measured``: the first and the newest week everybody
    was counted in. ``seen`` and ``kinds``: the metrics that are counted anywhere in the tenant, and the data that is
    there. ``approved``: whether the directory is good enough for groups. ``past``: whether older knowledge is asked
    for. ``individuals``: whether single persons may be shown to who asks, ``named``: whether any are, such as those of
    a line. ``closed``: nothing of the group may be told.
    """

    now: datetime
    zones: Sequence[tzinfo] = (UTC,)
    first_day_of_week: int = 1
    min_group: int = 1
    measured: date | None = None
    since: date | None = None
    seen: Collection[str] = ()
    kinds: Collection[str] = ALWAYS_THERE | {MERGES}
    active: bool = True
    approved: bool = True
    past: bool = False
    individuals: bool = False
    named: bool = True
    closed: bool = False
    hides: Callable[[date, date], bool] = _shows
    silences: Sequence[Silence] = ()


def evidence(codes: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return which metrics ``codes`` are of, by their codes, and the kinds of data those prove to be there."""
    seen = {found.code: found for code in codes if (found := by_code(code.partition(":")[0])) is not None}
    return frozenset(seen), ALWAYS_THERE.union(*(metric.inputs for metric in seen.values())) - {MERGES}
