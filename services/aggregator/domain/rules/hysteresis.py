"""When a condition that comes and goes opens an alert, and when it ends it.

So many windows in a row with the condition open an episode, so many clear ones close it; between the two thresholds
nothing changes. A window of which nothing is known opens nothing, confirms nothing and ends nothing; one in which there
was nothing to count is passed over. Where the rule is not active any more, an open episode ends with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from services.aggregator.domain.findings import Outcome, Resolution

OUT_OF_PHASE = "phase"
"""The reason for which a rule does not judge a window at all."""


class Sign(NamedTuple):
    """What a window shows. ``reason``: why it is not known; ``idle``: there was nothing to count in it."""

    breach: bool = False
    clear: bool = False
    reason: str | None = None
    idle: bool = False


BREACH, CLEAR, BETWEEN = Sign(breach=True), Sign(clear=True), Sign()


@dataclass(frozen=True, slots=True)
class Course:
    """An episode by the places of its windows: opened, last with the condition, closed, and by what."""

    opened: int
    shown: int
    calm: int = 0
    closed: int | None = None
    resolution: Resolution | None = None


class Seen(NamedTuple):
    """What was said of a window. ``opened``: of the episode that it belongs to; None: of none."""

    place: int
    outcome: Outcome
    reason: str | None = None
    opened: int | None = None


class Walked(NamedTuple):
    """What came of walking the windows."""

    courses: list[Course]
    seen: list[Seen]

    def open_at(self, place: int) -> bool:
        """Tell whether an episode is open when the window at ``place`` has been judged."""
        return any(each.opened <= place and (each.closed is None or place < each.closed) for each in self.courses)


def walk(signs: Sequence[Sign], opens_after: int, closes_after: int) -> Walked:
    """Walk windows in order: at most one episode is open at a time."""
    walked = Walked([], [])
    course: Course | None = None
    run = 0
    for place, sign in enumerate(signs):
        if sign.reason == OUT_OF_PHASE and course is not None:
            walked.courses.append(replace(course, closed=place, resolution=Resolution.PHASE_ENDED))
            course = None
        if sign.reason is not None:
            run = run if sign.idle else 0
            opened = None if course is None else course.opened
            walked.seen.append(Seen(place, Outcome.NOT_JUDGED, sign.reason, opened))
            continue
        run = run + 1 if sign.breach else 0
        course = _next(course, place, sign, opens=run >= opens_after, closes_after=closes_after)
        walked.seen.append(_seen(place, sign, course))
        if course is not None and course.closed is not None:
            walked.courses.append(course)
            course = None
    if course is not None:
        walked.courses.append(course)
    return walked


def quiet(place: int, sign: Sign) -> Seen:
    """Return what is said of a window while nothing ever opened."""
    if sign.reason is not None:
        return Seen(place, Outcome.NOT_JUDGED, sign.reason)
    return Seen(place, Outcome.CLEAR if sign.clear else Outcome.HELD)


def _next(course: Course | None, place: int, sign: Sign, *, opens: bool, closes_after: int) -> Course | None:
    if course is None:
        return Course(place, place) if opens else None
    calm = course.calm + 1 if sign.clear else 0
    over = calm >= closes_after
    return replace(
        course,
        shown=place if sign.breach else course.shown,
        calm=calm,
        closed=place if over else None,
        resolution=Resolution.RECOVERED if over else None,
    )


def _seen(place: int, sign: Sign, course: Course | None) -> Seen:
    opened = None if course is None else course.opened
    if sign.breach:
        return Seen(place, Outcome.PENDING if course is None else Outcome.OPEN, None, opened)
    return Seen(place, Outcome.CLEAR if sign.clear else Outcome.HELD, None, opened)
