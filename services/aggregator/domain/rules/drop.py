"""The drop: did a share fall against a base, do the same people stand behind it, and for how long?

A percentage of a small group jumps by itself. So a drop is only suspected when it lasts with a real loss of people, and
confirmed when the same people stopped (McNemar, in each of these weeks), or when so many stopped at once that no test
is needed. Shares are compared as whole numbers. What is unknown opens nothing, confirms nothing and ends nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Self

from services.aggregator.domain.findings import Outcome, Resolution, Tier
from services.aggregator.domain.rules.hysteresis import OUT_OF_PHASE
from services.aggregator.domain.rules.telling import number
from services.metrics.mcnemar import p_value
from services.rules.shape import Rule


class Share(NamedTuple):
    """A number of so many, or for so many."""

    num: int
    den: int


class SamePeople(NamedTuple):
    """The base against another week, person by person.

    ``stayed``: who counts in both; of them ``lost`` were active in the first only, ``gained`` in the second only. Who
    counts in one only, since they came, left or were on leave in the other: ``joiners`` and ``leavers``, of whom
    ``joiners_active`` and ``leavers_active`` were active then; ``moved_in`` and ``moved_out`` are those of them who
    counted in another group at the other time. Of who was active in both, ``less`` did a tenth less than before, or
    even fewer; of ``more`` the base was a tenth less.
    """

    stayed: int
    lost: int
    gained: int
    joiners: int
    leavers: int
    joiners_active: int = 0
    leavers_active: int = 0
    moved_in: int = 0
    moved_out: int = 0
    less: int = 0
    more: int = 0

    @property
    def net_loss(self) -> int:
        """Return how many more stopped than started."""
        return self.lost - self.gained

    @property
    def by_depth(self) -> "SamePeople":
        """Return the people by how much they did: who does less is lost, who does more is gained."""
        return self._replace(lost=self.less, gained=self.more)

    def composition(self, base: "Share", now: "Share") -> dict[str, int]:
        """Return what the active people of ``base`` became: ``now`` is ``base`` with all of it added, less the losses.

        ``other``: what the directory has changed since the numbers were counted.
        """
        parts = {
            "lost": self.lost,
            "gained": self.gained,
            "leavers": self.leavers,
            "leavers_active": self.leavers_active,
            "joiners": self.joiners,
            "joiners_active": self.joiners_active,
            "moved_out": self.moved_out,
            "moved_in": self.moved_in,
        }
        explained = self.gained - self.lost + self.joiners_active - self.leavers_active
        return {**parts, "other": now.num - base.num - explained}


class Step(NamedTuple):
    """A week that is judged against a base. ``whole``: how many were active in it, of whom a collapse takes a part.

    ``people`` None: nobody looked, since there is no drop. ``reason``: why it is unknown.
    """

    number: int
    base: Share
    now: Share
    whole: int
    people: SamePeople | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """By how much a share must fall, and what must stand behind it. Shares are of a hundred."""

    relative: int = 10
    loss: int = 2
    windows: int = 2
    chance: Fraction = Fraction(20, 100)
    collapse: int = 3
    collapse_share: int = 25
    collapse_up_to: int | None = 10
    calm_under: int = 5
    calm_windows: int = 2
    minimum: int = 5

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """Return the guard that ``rule`` asks for."""
        own = cls()
        return cls(
            number(rule, "relative", own.relative),
            number(rule, "loss", own.loss),
            number(rule, "windows", own.windows),
            Fraction(number(rule, "chance", 20), 100),
            number(rule, "collapse", own.collapse),
            number(rule, "collapse_share", own.collapse_share),
            number(rule, "collapse_up_to") if "collapse_up_to" in rule.params else None,
            number(rule, "calm", own.calm_under),
            number(rule, "calm_windows", own.calm_windows),
            rule.minimum,
        )

    def enough(self, base: Share, now: Share) -> bool:
        """Tell whether both are large enough to be compared."""
        return base.num > 0 and min(base.den, now.den) >= self.minimum

    def dropped(self, base: Share, now: Share) -> bool:
        """Tell whether ``now`` lies as far under the base as is asked for, in groups large enough to say so."""
        return self.enough(base, now) and 100 * now.num * base.den <= (100 - self.relative) * base.num * now.den

    def calm(self, base: Share, now: Share) -> bool:
        """Tell whether ``now`` lies so little under the base that it is over."""
        return self.enough(base, now) and 100 * now.num * base.den > (100 - self.calm_under) * base.num * now.den

    def lossy(self, step: Step) -> bool:
        """Tell whether the same people stand behind a drop."""
        return self.dropped(step.base, step.now) and step.people is not None and step.people.net_loss >= self.loss

    def sure(self, step: Step) -> bool:
        """Tell whether the same people stand behind a drop by more than chance."""
        people = step.people
        return people is not None and self.lossy(step) and p_value(people.lost, people.gained) <= self.chance

    def collapsed(self, net_loss: int, whole: int) -> bool:
        """Tell whether so many of ``whole`` stopped that no test is needed.

        Of more than ``collapse_up_to`` one more must have stopped: three of eleven or twelve stop by chance too often.
        """
        more = self.collapse_up_to is not None and whole > self.collapse_up_to
        return net_loss >= self.collapse + more and 100 * net_loss >= self.collapse_share * whole

    def tier(self, step: Step, *, lossy: int, sure: int) -> Tier | None:
        """Return how sure it is that the group fell; None: not at all. ``lossy`` and ``sure``: for how many weeks."""
        people = step.people
        if people is None or not self.dropped(step.base, step.now):
            return None
        if self.collapsed(people.net_loss, step.whole):
            return Tier.CONFIRMED
        if lossy < self.windows:
            return None
        return Tier.CONFIRMED if sure >= self.windows else Tier.SUSPECTED


@dataclass(frozen=True, slots=True)
class Course:
    """An episode by the numbers of its weeks: opened, last with a drop, confirmed, closed; calm ones in a row."""

    opened: int
    shown: int
    confirmed: int | None = None
    calm: int = 0
    closed: int | None = None
    resolution: Resolution | None = None

    @property
    def raised(self) -> int | None:
        """Return the week in which a suspicion was confirmed; None: it never was one, or still is."""
        return None if self.confirmed == self.opened else self.confirmed


class Seen(NamedTuple):
    """What was said of a week. ``opened``: of the episode that it belongs to; None: of none."""

    step: Step
    outcome: Outcome
    reason: str | None
    opened: int | None


class Walked(NamedTuple):
    """What came of walking the weeks."""

    courses: list[Course]
    seen: list[Seen]


def walk(guard: Guard, steps: Iterable[Step]) -> Walked:
    """Walk the weeks in order: at most one episode is open at a time."""
    walked = Walked([], [])
    course: Course | None = None
    run = sure = 0
    for step in steps:
        if step.reason is not None:
            run = sure = 0
            if step.reason == OUT_OF_PHASE and course is not None:
                walked.courses.append(replace(course, closed=step.number, resolution=Resolution.PHASE_ENDED))
                course = None
            walked.seen.append(Seen(step, Outcome.NOT_JUDGED, step.reason, None if course is None else course.opened))
            continue
        run = run + 1 if guard.lossy(step) else 0
        sure = sure + 1 if guard.sure(step) else 0
        tier = guard.tier(step, lossy=run, sure=sure)
        if course is not None:
            course = _go_on(guard, course, step, tier)
        elif tier is not None:
            course = Course(step.number, step.number, _confirmed(step, tier))
        walked.seen.append(_seen(guard, step, course, lossy=run > 0))
        if course is not None and course.closed is not None:
            walked.courses.append(course)
            course = None
    if course is not None:
        walked.courses.append(course)
    return walked


def _confirmed(step: Step, tier: Tier | None) -> int | None:
    return step.number if tier is Tier.CONFIRMED else None


def _go_on(guard: Guard, course: Course, step: Step, tier: Tier | None) -> Course:
    still_calm = course.calm + 1 if guard.calm(step.base, step.now) else 0
    over = still_calm >= guard.calm_windows
    return replace(
        course,
        confirmed=course.confirmed or _confirmed(step, tier),
        shown=step.number if guard.dropped(step.base, step.now) else course.shown,
        calm=still_calm,
        closed=step.number if over else None,
        resolution=Resolution.RECOVERED if over else None,
    )


def _seen(guard: Guard, step: Step, course: Course | None, *, lossy: bool) -> Seen:
    opened = None if course is None else course.opened
    if not guard.enough(step.base, step.now):
        return Seen(step, Outcome.NOT_JUDGED, "insufficient_sample", opened)
    if guard.dropped(step.base, step.now):
        if course is not None:
            return Seen(step, Outcome.OPEN, None, opened)
        return Seen(step, Outcome.PENDING, None, None) if lossy else Seen(step, Outcome.HELD, "guard", None)
    return Seen(step, Outcome.CLEAR if guard.calm(step.base, step.now) else Outcome.HELD, None, opened)
