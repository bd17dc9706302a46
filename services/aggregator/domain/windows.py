"""Rolling windows: how one person's active days become differences of window rows.

A window of length ``w`` at as-of day ``d`` holds the days ``d - w + 1 .. d``, so a person with an active day ``x`` is
counted on the as-of days ``[x, x + w)``. All ranges are half-open and in days since 1970-01-01. A row states by how
much a value changes from its day on: a range costs two rows whatever its length, and order of arrival is no matter
because differences add up.

Actions and user-days are written once, in the row of the day itself and length 1: as the day's amount, no difference.
A window has the amounts of the days it holds. That is right while the person counts on all of its as-of days; where a
term begins or ends inside, rows of the window's own length hold the differences between the two.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from services.aggregator.domain.ranges import Range, covered, newly_covered, union

LENGTHS: Final = (1, 7, 28)
REACH: Final = LENGTHS[-1] - 1
"""A day further away than this from an active day shares no window with it."""

FOREVER: Final = 2_932_897
"""The day after 9999-12-31: the end of a range that does not end."""

LICENSED, ACTIVE, LOGGED_IN, ACTIONS, USER_DAYS, REVISION = range(6)
FIELDS: Final = 6


class Term(NamedTuple):
    """From ``start`` until before ``end`` the person counts in the group: a member, with a licence."""

    dimension: str
    key: str
    start: int
    end: int


class PersonDay(NamedTuple):
    """What one person did on one day, as far as windows count it."""

    day: int
    actions: int
    logged_in: bool


class DayChange(NamedTuple):
    """What a batch of events added to one day of one person."""

    day: int
    actions: int
    fresh: bool
    fresh_login: bool


class Row(NamedTuple):
    """Where a difference stands."""

    tenant: str
    dimension: str
    key: str
    days: int
    day: int


Steps: TypeAlias = dict[int, list[int]]
"""Differences of one group by place: for each, how much every field changes."""

Sums: TypeAlias = dict[int, tuple[int, int]]
"""Actions and user-days by calendar day. They add up: a day's count the same in every window that holds it."""

_SLOT: Final = {length: slot << 22 for slot, length in enumerate(LENGTHS)}
"""A place is a length and a day in one integer, in the order of the rows. FOREVER is less than 2 ** 22."""

_DAY: Final = (1 << 22) - 1


class Spans:
    """What one person adds to any group: for ranges of as-of days, how much of which field; and sums of days."""

    def __init__(self) -> None:
        self.low = FOREVER
        self.high = 0
        self.sums: Sums = {}
        self._spans: list[tuple[int, Range, int, int]] = []
        self._steps: Steps | None = None

    def put(self, length: int, span: Range, field: int, amount: int) -> None:
        """Add ``amount`` of ``field`` on the as-of days of ``span`` in windows of ``length``."""
        self._spans.append((length, span, field, amount))
        self._reach(*span)

    def put_day(self, day: int, actions: int, user_days: int) -> None:
        """Add what was done on ``day`` to every window that holds it."""
        if actions or user_days:
            self.sums[day] = (actions, user_days)
            self._reach(day, day + LENGTHS[-1])

    def _reach(self, low: int, high: int) -> None:
        self.low = min(self.low, low)
        self.high = max(self.high, high)

    def steps(self) -> Steps:
        """Return the differences of all spans, uncut, without the sums."""
        if self._steps is None:
            steps: Steps = {}
            for length, (low, high), field, amount in self._spans:
                step(steps, length, low, field, amount)
                if high < FOREVER:
                    step(steps, length, high, field, -amount)
            self._steps = steps
        return self._steps

    def clipped(self, term: Term) -> Iterator[tuple[int, Range, int, int]]:
        """Yield what of the spans lies in ``term``."""
        for length, (low, high), field, amount in self._spans:
            start, end = max(low, term.start), min(high, term.end)
            if start < end:
                yield length, (start, end), field, amount


class Group:
    """Differences of one group in one batch."""

    __slots__ = ("restated", "steps", "sums")

    def __init__(self) -> None:
        self.steps: Steps = {}
        self.sums: Sums = {}
        self.restated: dict[int, list[Range]] = {}

    def put_day(self, day: int, actions: int, user_days: int) -> None:
        """Add what was done on ``day``."""
        before = self.sums.get(day, (0, 0))
        self.sums[day] = (before[0] + actions, before[1] + user_days)

    def put_cut_day(self, day: int, actions: int, user_days: int, term: Term, final: int) -> None:
        """Add what was done on ``day`` as far as its windows lie in ``term``."""
        inside = term.start <= day < term.end
        if inside:
            self.put_day(day, actions, user_days)
        for length in LENGTHS:
            low, high = max(day, term.start), min(day + length, term.end)
            if low < high and low <= final:
                self.restate(length, low, high, final)
            sign, start, end = (-1, term.end, day + length) if inside else (1, low, high)
            if start < end:
                for field, amount in ((ACTIONS, sign * actions), (USER_DAYS, sign * user_days)):
                    step(self.steps, length, start, field, amount)
                    step(self.steps, length, end, field, -amount)

    def restate(self, length: int, low: int, high: int, final: int) -> None:
        """Note that the as-of days from ``low`` until before ``high`` changed; those up to ``final`` were final."""
        self.restated.setdefault(length, []).append((low, min(high, final + 1)))

    def settle(self) -> list[tuple[int, list[int]]]:
        """Return the places that differ, in order, with the sums and the revisions of what was restated."""
        for day, (actions, user_days) in self.sums.items():
            step(self.steps, 1, day, ACTIONS, actions)
            step(self.steps, 1, day, USER_DAYS, user_days)
        for length, spans in self.restated.items():
            for low, high in union(sorted(spans)):
                step(self.steps, length, low, REVISION, 1)
                step(self.steps, length, high, REVISION, -1)
        return sorted((place, values) for place, values in self.steps.items() if any(values))


class Deltas:
    """Differences of one batch, by group. Nobody reads a field of a row by name before ``settle``."""

    def __init__(self) -> None:
        self._groups: defaultdict[tuple[str, str, str], Group] = defaultdict(Group)

    def add(self, tenant: str, term: Term, spans: Spans, *, sign: int, final: int) -> None:
        """Add ``spans``, as far as they lie in ``term``, to the term's group.

        ``final`` is the newest as-of day that was final before: what changes up to it is a restatement, and raises
        the revision of each restated cell by one.
        """
        group = self._groups[tenant, term.dimension, term.key]
        if term.start <= spans.low and spans.high <= term.end and final < spans.low:
            merge(group.steps, spans.steps(), sign)
            for day, (actions, user_days) in spans.sums.items():
                group.put_day(day, sign * actions, sign * user_days)
            return
        for length, (low, high), field, amount in spans.clipped(term):
            step(group.steps, length, low, field, sign * amount)
            if high < FOREVER:
                step(group.steps, length, high, field, -sign * amount)
            if low <= final:
                group.restate(length, low, high, final)
        for day, (actions, user_days) in spans.sums.items():
            group.put_cut_day(day, sign * actions, sign * user_days, term, final)

    def settle(self) -> list[tuple[Row, list[int]]]:
        """Return the rows that differ, in key order."""
        return [
            (Row(*key, LENGTHS[place >> 22], place & _DAY), values)
            for key, group in sorted(self._groups.items())
            for place, values in group.settle()
        ]


def step(steps: Steps, length: int, day: int, field: int, amount: int) -> None:
    """Change ``field`` by ``amount`` from ``day`` on."""
    place = _SLOT[length] + day
    values = steps.get(place)
    if values is None:
        values = steps[place] = [0] * FIELDS
    values[field] += amount


def merge(steps: Steps, other: Steps, sign: int) -> None:
    """Add ``other`` times ``sign`` to ``steps``."""
    for place, values in other.items():
        mine = steps.get(place)
        if mine is None:
            steps[place] = [sign * value for value in values]
        else:
            for field, value in enumerate(values):
                if value:
                    mine[field] += sign * value


def extend(
    deltas: Deltas,
    tenant: str,
    terms: Sequence[Term],
    changes: Sequence[DayChange],
    *,
    active: Sequence[int],
    logged_in: Sequence[int],
    final: int,
) -> None:
    """Add what ``changes`` (ascending by day) of one person do to the windows.

    ``active`` and ``logged_in`` are the person's days before the batch, ascending, within REACH of every fresh day.
    """
    spans = Spans()
    fresh = [change.day for change in changes if change.fresh]
    fresh_logins = [change.day for change in changes if change.fresh_login]
    for length in LENGTHS if fresh or fresh_logins else ():
        for span in newly_covered(active, fresh, length):
            spans.put(length, span, ACTIVE, 1)
        for span in newly_covered(logged_in, fresh_logins, length):
            spans.put(length, span, LOGGED_IN, 1)
    for change in changes:
        spans.put_day(change.day, change.actions, int(change.fresh))
    for term in terms:
        deltas.add(tenant, term, spans, sign=1, final=final)


def move(
    deltas: Deltas, tenant: str, days: Sequence[PersonDay], *, old: Sequence[Term], new: Sequence[Term], final: int
) -> None:
    """Count a person with ``days`` (ascending) under ``new`` terms instead of ``old`` ones.

    A term that stays costs nothing.
    """
    spans = Spans()
    for length in LENGTHS:
        spans.put(length, (0, FOREVER), LICENSED, 1)
        for span in covered((day.day for day in days), length):
            spans.put(length, span, ACTIVE, 1)
        for span in covered((day.day for day in days if day.logged_in), length):
            spans.put(length, span, LOGGED_IN, 1)
    for day in days:
        spans.put_day(day.day, day.actions, 1)
    for sign, terms in ((-1, set(old) - set(new)), (1, set(new) - set(old))):
        for term in terms:
            deltas.add(tenant, term, spans, sign=sign, final=final)
