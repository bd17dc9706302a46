"""Change rules: did a group fall behind its own first week, and is it more than chance?

Week k of a go-live is the seven days up to ``go_live + 7k - 1``; week 1 is the base. A percentage of a small group
jumps by itself, so a drop is only suspected when it lasts two weeks with a real loss of people, and confirmed when the
same people stopped (McNemar) or so many stopped at once that no test is needed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import LATEST_YEAR, Calendar, days_after
from services.aggregator.domain.findings import Finding, Recipient, Resolution, Severity, Subject, Tier
from services.aggregator.domain.rules.catalogue import ADOPTION_DROP
from services.aggregator.domain.waves import Wave
from services.metrics.mcnemar import p_value

BASE: Final = 1
LAST_WEEK: Final = 13
EVALUATION_DELAY: Final = timedelta(hours=2)
"""How long after its last day a week is judged: late deliveries of the evening are in by then."""
MIN_LICENSED: Final = 5
MIN_NET_LOSS: Final = 2
MIN_COLLAPSE: Final = 3
COLLAPSE_SHARE: Final = Fraction(1, 4)
CHANCE: Final = Fraction(1, 5)
CALM_WEEKS: Final = 2
WEEK: Final = 7


class Week(NamedTuple):
    """A group's window of seven days at the end of a week."""

    number: int
    licensed: int
    active: int


class SamePeople(NamedTuple):
    """Week 1 against another, person by person: counted on both last days, active in one only, counted on one only."""

    stayed: int
    lost: int
    gained: int
    joiners: int
    leavers: int

    @property
    def net_loss(self) -> int:
        """Return how many more stopped than started."""
        return self.lost - self.gained


class Watched(NamedTuple):
    """A group and the wave whose go-live it is measured from."""

    subject: Subject
    wave: Wave


@dataclass(frozen=True, slots=True)
class History:
    """A watched group's ended weeks from week 1 on; ``people`` for the weeks of ``doubtful_weeks``.

    ``unknown``: the weeks in which people may have come unseen. They open nothing, confirm nothing and end nothing.
    """

    watched: Watched
    weeks: Sequence[Week]
    people: Mapping[int, SamePeople]
    unknown: frozenset[int] = frozenset()


def watch(waves: Iterable[Wave], teams: Iterable[str]) -> list[Watched]:
    """Return the groups to judge, each once: the earliest wave that names it decides, else a wave for everybody."""
    found: dict[Subject, Wave] = {}
    everybody: Wave | None = None
    for wave in sorted(waves, key=lambda wave: (wave.go_live, wave.id)):
        for subject in _named(wave):
            found.setdefault(subject, wave)
        if wave.everybody and everybody is None:
            everybody = wave
    if everybody is not None:
        for team in teams:
            found.setdefault(Subject("team", team), everybody)
    return [Watched(subject, wave) for subject, wave in sorted(found.items())]


def _named(wave: Wave) -> Iterator[Subject]:
    if wave.everybody:
        yield Subject("tenant", "all")
    for team in wave.teams:
        yield Subject("team", team)
    for role in wave.roles:
        yield Subject("role", role)


def last_day(go_live: date, week: int) -> date:
    """Return the last day of a week."""
    return days_after(go_live, WEEK * week - 1)


def span(go_live: date, week: int, calendar: Calendar) -> tuple[datetime, datetime]:
    """Return the first instant of a week and the first one after it."""
    last = last_day(go_live, week)
    return calendar.start_of(last - timedelta(days=WEEK - 1)), calendar.end_of(last)


def judged_at(go_live: date, week: int, calendar: Calendar) -> datetime:
    """Return the instant from which a week is judged."""
    ended_at = calendar.end_of(last_day(go_live, week))
    return ended_at if ended_at.year > LATEST_YEAR else ended_at + EVALUATION_DELAY


def weeks_ended(go_live: date, calendar: Calendar, now: datetime) -> int:
    """Return how many of the weeks 1 to 13 can be judged at ``now``."""
    ended = 0
    while ended < LAST_WEEK and judged_at(go_live, ended + 1, calendar) <= now:
        ended += 1
    return ended


def dropped(base: Week, week: Week) -> bool:
    """Tell whether the active rate lies at least 10 % under the base, in groups large enough to say so."""
    return _comparable(base, week) and week.active * base.licensed * 10 <= 9 * base.active * week.licensed


def calm(base: Week, week: Week) -> bool:
    """Tell whether the active rate lies less than 5 % under the base."""
    return _comparable(base, week) and week.active * base.licensed * 20 > 19 * base.active * week.licensed


def _comparable(base: Week, week: Week) -> bool:
    return base.active > 0 and min(base.licensed, week.licensed) >= MIN_LICENSED


def baseless(histories: Iterable[History]) -> Iterator[tuple[str, str]]:
    """Give (rule family, wave) of what cannot be judged, because week 1 is unknown."""
    for history in histories:
        if BASE in history.unknown:
            yield ADOPTION_DROP.family, history.watched.wave.id


def doubtful_weeks(weeks: Sequence[Week]) -> list[int]:
    """Return the weeks whose people must be looked at: those with a drop."""
    return [week.number for week in weeks[1:] if dropped(weeks[0], week)]


@dataclass(frozen=True, slots=True)
class _Episode:
    """Weeks, by number: opened, last shown with a drop, confirmed, closed; and how many calm ones in a row."""

    opened: int
    shown: int
    confirmed: int | None = None
    calm: int = 0
    closed: int | None = None


def judge_change(history: History, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find the group's episodes of lasting or sudden loss against week 1, in order; none against an unknown one."""
    if BASE in history.unknown:
        return
    for number, episode in enumerate(_episodes(history), start=1):
        yield _finding(history, episode, number, calendar, now)


def _episodes(history: History) -> Iterator[_Episode]:
    """Walk the weeks: at most one episode is open at a time."""
    episode: _Episode | None = None
    lossy_before = False
    for week in history.weeks[1:]:
        if week.number in history.unknown:
            lossy_before = False
            continue
        lossy = _lossy(history, week)
        tier = _tier(history, week, lasting=lossy and lossy_before)
        if episode is None:
            episode = None if tier is None else _Episode(week.number, week.number, _confirmed(week, tier))
        else:
            episode = _go_on(history, episode, week, tier)
            if episode.closed is not None:
                yield episode
                episode = None
        lossy_before = lossy
    if episode is not None:
        yield episode


def _lossy(history: History, week: Week) -> bool:
    return dropped(history.weeks[0], week) and history.people[week.number].net_loss >= MIN_NET_LOSS


def _tier(history: History, week: Week, *, lasting: bool) -> Tier | None:
    base = history.weeks[0]
    if not dropped(base, week):
        return None
    people = history.people[week.number]
    if people.net_loss >= MIN_COLLAPSE and people.net_loss >= COLLAPSE_SHARE * base.active:
        return Tier.CONFIRMED
    if not lasting:
        return None
    return Tier.CONFIRMED if p_value(people.lost, people.gained) <= CHANCE else Tier.SUSPECTED


def _confirmed(week: Week, tier: Tier | None) -> int | None:
    return week.number if tier is Tier.CONFIRMED else None


def _go_on(history: History, episode: _Episode, week: Week, tier: Tier | None) -> _Episode:
    base = history.weeks[0]
    still_calm = episode.calm + 1 if calm(base, week) else 0
    return replace(
        episode,
        confirmed=episode.confirmed or _confirmed(week, tier),
        shown=week.number if dropped(base, week) else episode.shown,
        calm=still_calm,
        closed=week.number if still_calm == CALM_WEEKS else None,
    )


def _finding(history: History, episode: _Episode, number: int, calendar: Calendar, now: datetime) -> Finding:
    subject, wave = history.watched
    closed_at, resolution = _end(wave.go_live, episode, calendar, now)
    base, week = history.weeks[0], history.weeks[episode.shown - 1]
    confirmed = episode.confirmed is not None
    severity = ADOPTION_DROP.severity if confirmed else Severity.INFO
    until = last_day(wave.go_live, week.number)
    group = wave.name if subject.kind == "tenant" else subject.key
    return Finding(
        family=ADOPTION_DROP.family,
        rule=ADOPTION_DROP.id,
        rule_version=ADOPTION_DROP.version,
        severity=Severity.CRITICAL if confirmed and subject.kind == "tenant" else severity,
        tier=Tier.CONFIRMED if confirmed else Tier.SUSPECTED,
        wave=wave.id,
        subject=subject,
        start=last_day(wave.go_live, episode.opened),
        title=ADOPTION_DROP.title.format(
            group=group,
            num=week.active,
            den=week.licensed,
            week=week.number,
            base_num=base.active,
            base_den=base.licensed,
        ),
        opened_at=judged_at(wave.go_live, episode.opened, calendar),
        closed_at=closed_at,
        resolution=resolution,
        window={"from": until - timedelta(days=WEEK - 1), "to": until, "week": week.number},
        evidence={
            **_evidence(base, week, history.people[week.number]),
            "opened_in": episode.opened,
            "confirmed_in": episode.confirmed,
        },
        audience=_audience(subject, wave, base, week),
        action=ADOPTION_DROP.action,
        episode=number,
    )


def _end(
    go_live: date, episode: _Episode, calendar: Calendar, now: datetime
) -> tuple[datetime | None, Resolution | None]:
    """Return the end: recovered, or one week after the last judged week, so that what week 13 shows is still told."""
    if episode.closed is not None:
        return judged_at(go_live, episode.closed, calendar), Resolution.RECOVERED
    phase_ends_at = judged_at(go_live, LAST_WEEK + 1, calendar)
    return (phase_ends_at, Resolution.PHASE_ENDED) if phase_ends_at <= now else (None, None)


def _evidence(base: Week, week: Week, people: SamePeople) -> dict[str, object]:
    rate, base_rate = Fraction(week.active, week.licensed), Fraction(base.active, base.licensed)
    return {
        "num": week.active,
        "den": week.licensed,
        "value": rate,
        "threshold": base_rate * Fraction(9, 10),
        "baseline": {"num": base.active, "den": base.licensed, "value": base_rate, "week": 1},
        "change": rate / base_rate - 1,
        "week": week.number,
        "lost": people.lost,
        "gained": people.gained,
        "net_loss": people.net_loss,
        "p": p_value(people.lost, people.gained),
        "people": people.stayed,
        "joiners": people.joiners,
        "leavers": people.leavers,
    }


def _audience(subject: Subject, wave: Wave, base: Week, week: Week) -> tuple[Recipient, ...]:
    """Add the sponsor when the whole tenant is meant or a quarter of the rate is gone."""
    heard = [Recipient(role) for role in ADOPTION_DROP.audience]
    if subject.kind == "tenant" or week.active * base.licensed * 4 <= 3 * base.active * week.licensed:
        heard.append(Recipient("sponsor", wave.sponsor))
    return tuple(heard)
