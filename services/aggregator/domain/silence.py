"""Silence: when a source that should have sent something sent nothing. An outage is no collapse of adoption.

What a source usually sends in an hour of the week is learned from the same hours of up to eight weeks before. Nights,
weekends and holidays are quiet by themselves, so only hours in which something was usual count. A source is silent when
what is missing is twice its interval and an hour of such time has passed. On the event clock an hour has only passed
when another source had events in it: where everything stops, time stops.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from services.aggregator.domain.rhythm import HOUR, MOST_WEEKS, WEEK_HOURS, Hours, Time, Usual, hour_of, start_of

INTERVALS: Final = 2
LEAST_TIME: Final = HOUR
LONGER: Final = 1.25
"""By how much a source that is late by habit must be later than usual."""
NORMAL_INTERVALS: Final = 3
"""A silence is over when so much came again, in the time that it usually comes in."""
GONE: Final = timedelta(days=35)
"""A source that was silent for so long will not come back: its silence ends, and what others sent is judged again."""
SHORT: Final = timedelta(hours=4)
"""A gap of half a working day keeps nobody from being seen in a week."""
FILLED: Final = Fraction(1, 2)
"""A gap counts as filled when this part of what was expected came in afterwards, and no stretch of it is silent still.

So a replay in order of time, first or last things first, is waited for to its end.
"""
REACH: Final = timedelta(hours=WEEK_HOURS * MOST_WEEKS) + GONE + timedelta(days=1)
"""How far back the hours of a source must be known."""

_END: Final = datetime.max.replace(tzinfo=UTC)

SILENT, OVER, FILLED_UP = "silent", "over", "filled"


class Silence(NamedTuple):
    """A stretch ``[since, until)`` without the events that were expected; ``until`` None: it goes on.

    ``expected``: how many; of one that goes on, how many were missing when it was noticed. ``seen``: how many events
    dated in it came all the same. ``state``: silent, over (what was missed is still missing) or filled.
    """

    source: str
    since: datetime
    opened_at: datetime
    until: datetime | None
    expected: int
    seen: int
    state: str

    @property
    def blind(self) -> bool:
        """Whether what happened meanwhile is unknown."""
        return self.state != FILLED_UP

    @property
    def hides(self) -> bool:
        """Whether so much of it is unknown that nobody can be said to have stayed away meanwhile."""
        return self.blind and (self.until is None or self.until - self.since > SHORT)

    def touches(self, start: datetime, end: datetime) -> bool:
        """Tell whether people who came from ``start`` until before ``end`` may have been missed."""
        return self.hides and self.since < end and (self.until is None or start < self.until)


class Heard(NamedTuple):
    """What was heard of a source: its events by hour, the newest of them, and up to when more would have been heard."""

    source: str
    hours: Hours
    newest: datetime
    now: datetime

    def events(self, first: int, end: int | None = None) -> int:
        """Return how many events are dated from the hour ``first`` until before ``end``."""
        return sum(count for hour, count in self.hours.items() if first <= hour and (end is None or hour < end))


def find(heard: Heard, time: Time, *, since: datetime, known: Sequence[Silence] = ()) -> list[Silence]:
    """Return the silences of a source that began at ``since`` or later, as its events show them now.

    From the time of ``known`` ones that were not filled nothing is learned.
    """
    now_hour = hour_of(heard.now)
    hours = {hour: count for hour, count in heard.hours.items() if count > 0 and hour <= now_hour}
    blind = {hour for each in known if each.blind for hour in _inside(each, heard.now)}
    found: list[Silence] = []
    for begin, end in _pauses(sorted(hours), now_hour):
        if start_of(begin) < since or not _may_be(hours, time, begin, now_hour if end is None else end - 1):
            continue
        usual = Usual(hours, time, begin, blind)
        silence = _judge(heard, usual, begin, end, _Patience(usual.interval(blind), _late(usual, known)))
        if usual.known and silence is not None:
            found.append(silence)
            blind |= set(_inside(silence, heard.now))
    return found


class _Patience(NamedTuple):
    """What must be missing for a source to be silent: twice the ``interval``, and for at least ``time``."""

    interval: float
    time: timedelta


def _pauses(busy: Sequence[int], now_hour: int) -> Iterator[tuple[int, int | None]]:
    """Yield the stretches of hours without an event, each until before the next; None: it goes on."""
    for hour, following in pairwise(busy):
        if following > hour + 1:
            yield hour + 1, following
    if busy and busy[-1] <= now_hour:
        yield busy[-1] + 1, None


def _may_be(hours: Hours, time: Time, begin: int, last: int) -> bool:
    """Tell cheaply whether something could be missing: whether something came in such an hour of the week before."""
    weeks = range(WEEK_HOURS, (MOST_WEEKS + 1) * WEEK_HOURS, WEEK_HOURS)
    expected = (hour for hour in range(begin - 1, last + 1) if time.slot(hour) is not None)
    return any(hour - week in hours for hour in expected for week in weeks)


def _late(usual: Usual, known: Iterable[Silence]) -> timedelta:
    """Return how long a source is waited for: one that filled its gaps twice brings its events later by habit."""
    waits = sorted(
        sum(usual.rate(hour) > 0 for hour in _inside(each, each.since)) for each in known if each.state == FILLED_UP
    )
    return max(LEAST_TIME, waits[-2] * LONGER * HOUR) if len(waits) > 1 else LEAST_TIME


def _judge(heard: Heard, usual: Usual, begin: int, end: int | None, patience: _Patience) -> Silence | None:
    """Return the silence from the hour ``begin`` until before ``end`` if too much is missing."""
    ends_at = heard.now if end is None else start_of(end)
    start = min(heard.newest, start_of(begin)) if end is None else start_of(begin)
    opened_at: datetime | None = None
    missing, spent, at_opening = 0.0, timedelta(), 0.0
    for piece, stop, rate in _left(heard, _pieces(usual, start, ends_at), begin):
        if opened_at is None and rate > 0:
            wait = (INTERVALS * patience.interval - missing) / rate * HOUR
            crossed = piece + max(wait, patience.time - spent, timedelta())
            opened_at = crossed if crossed <= stop else None
            at_opening = missing + rate * ((crossed - piece) / HOUR)
        missing += rate * ((stop - piece) / HOUR)
        spent += stop - piece if rate > 0 else timedelta()
    if opened_at is None:
        return None
    since = start_of(begin)
    if end is None:
        until = since + GONE if ends_at - since >= GONE else None
        state = SILENT if until is None else OVER
    else:
        until, state = ends_at, OVER if _normal(heard, usual, end) else SILENT
    expected = missing if until is not None else at_opening
    return Silence(heard.source, since, opened_at, until, max(round(expected), 1), 0, state)


def _left(
    heard: Heard, pieces: Iterable[tuple[datetime, datetime, float]], begin: int
) -> Iterator[tuple[datetime, datetime, float]]:
    """Yield ``pieces``. The hour before ``begin`` was heard of: only what did not come in it is missing."""
    for piece, stop, rate in pieces:
        if hour_of(piece) < begin:
            rest = max(rate - heard.hours.get(begin - 1, 0), 0.0)
            yield piece, stop, rest / ((start_of(begin) - piece) / HOUR)
        else:
            yield piece, stop, rate


def _pieces(usual: Usual, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, float]]:
    """Cut ``[start, end)`` at full hours, with what is expected in an hour of each piece."""
    while start < end:
        hour = hour_of(start)
        stop = min(start_of(hour + 1), end)
        yield start, stop, usual.rate(hour)
        start = stop


def _normal(heard: Heard, usual: Usual, since: int) -> bool:
    """Tell whether the source has sent as it used to for a while from the hour ``since`` on."""
    due = sum(rate * ((stop - piece) / HOUR) for piece, stop, rate in _pieces(usual, start_of(since), heard.now))
    return heard.events(since) >= NORMAL_INTERVALS and due >= NORMAL_INTERVALS


def _inside(silence: Silence, now: datetime) -> range:
    """Return the hours of a silence; of one that goes on, those until ``now``."""
    return range(hour_of(silence.since), hour_of(silence.until or now))


def blind_from(silences: Iterable[Silence], start: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """Return from when to when it is unknown who has come since ``start``.

    After a silence it is, until as much time has passed as was lost: who comes at all has come again by then.
    """
    hiding = [each for each in silences if each.hides and (each.until is None or each.until > start)]
    return tuple(
        (each.since, _END if each.until is None else each.until + (each.until - each.since)) for each in hiding
    )


def follow(heard: Heard, time: Time, *, since: datetime, known: Sequence[Silence]) -> list[Silence]:
    """Return the silences of a source on the wall clock: those ``known`` as they stand now, and those found anew.

    What was once missed is remembered, whatever comes in for it later.
    """
    found = {each.since: each for each in find(heard, time, since=since, known=known)}
    standing: list[Silence] = []
    for each in known:
        now = each
        if each.state != FILLED_UP and each.since >= since:
            left = [other for other in found.values() if _holds(each, other)]
            now = _settle(heard, _stand(heard, time, each, left), whole=not left)
        standing.append(now)
    fresh = [each for each in found.values() if not any(_holds(other, each) for other in standing)]
    return sorted([*standing, *fresh])


def _stand(heard: Heard, time: Time, known: Silence, left: Sequence[Silence]) -> Silence:
    """Return how a known silence goes on: as it is found, or until it was noticed that events dated in it came.

    ``left``: what of it is found to be silent. One of which only the beginning was sent again goes on as a whole.
    """
    if left and left[0].since == known.since:
        return left[0]._replace(opened_at=known.opened_at)
    if left and left[-1].until is None:
        return known._replace(until=None, state=SILENT)
    hours = {hour: count for hour, count in heard.hours.items() if count > 0}
    usual = Usual(hours, time, hour_of(known.since), ())
    until = known.until or (left[-1].until if left else None) or heard.now
    missing = sum(rate * ((stop - piece) / HOUR) for piece, stop, rate in _pieces(usual, known.since, until))
    again = known.state == OVER or _normal(heard, usual, hour_of(until))
    return known._replace(until=until, expected=max(round(missing), 1), state=OVER if again else SILENT)


def _settle(heard: Heard, silence: Silence, *, whole: bool) -> Silence:
    """Return the silence with what was seen of it, filled if that suffices; ``whole``: no stretch of it is silent."""
    if silence.until is None:
        return silence
    seen = heard.events(hour_of(silence.since), hour_of(silence.until))
    filled = whole and silence.state == OVER and seen >= FILLED * silence.expected
    return silence._replace(seen=seen, state=FILLED_UP if filled else silence.state)


def let_go(before: Iterable[Silence], after: Iterable[Silence]) -> list[tuple[Silence, datetime]]:
    """Return those of ``before`` of whose time not all is unknown any more ``after``, with where that begins."""
    blind = sorted(each for each in after if each.blind)
    found: list[tuple[Silence, datetime]] = []
    for each in before:
        start = each.since
        for other in blind:
            if other.source == each.source and other.since <= start:
                start = max(start, other.until or _END)
        if each.blind and start < (each.until or _END):
            found.append((each, start))
    return found


def _holds(one: Silence, other: Silence) -> bool:
    return one.since <= other.since and (one.until is None or other.since < one.until)
