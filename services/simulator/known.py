"""What a careful reader of the plot must find: the alerts the story holds, rule by rule, from its parameters alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

from services.simulator import plot
from services.simulator.cast import Person, Story, working_day
from services.simulator.plot import Wave

D2: Final = "user-not-connected-d2"
D3: Final = "user-never-logged-in-d3"
DROP: Final = "adoption-drop-vs-week1"
SILENT: Final = "source-silent"
FAKE: Final = "fake-adoption-pattern"
SIGNS: Final = (
    "busy-but-stale",
    "data-quality-superficial",
    "next-step-missing",
    "placeholder-values-high",
    "stale-close-dates",
)
"""What is told of the team of the masquerade before it is told what that comes to."""
CONFIRMED: Final = "confirmed"
SUSPECTED: Final = "suspected"
WAVE_RULES: Final = (
    ("wave-connection-d1-below-target", 1, Fraction(80, 100)),
    ("wave-connection-d3-emergency", 3, Fraction(70, 100)),
    ("wave-connection-d5-below-target", 5, Fraction(90, 100)),
)
RULES: Final = (D2, D3, *(rule for rule, _, _ in WAVE_RULES), DROP, SILENT, FAKE, *SIGNS)
"""The rules that the story is told for."""


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """One alert the story holds; ``tier`` is the last it reached."""

    rule: str
    kind: str
    subject: str
    tier: str
    reason: str


def known_alerts(story: Story) -> list[Known]:
    """Return the alerts of ``story``, sorted by rule and subject."""
    found = [_outage(), *_drops(), *_masquerade()]
    for wave in plot.WAVES:
        cohort = story.cohort(wave)
        found += _of_wave(cohort, wave)
        found += _of_people(cohort, wave)
    return sorted(found)


def false_alarms(story: Story) -> list[str]:
    """Return, sorted, who is missed only for being heard of late: alerts about them are taken back."""
    noon = working_day(plot.OFFLINE_FROM, 2)
    return sorted(p.user for p in story.team(plot.OFFLINE) if p.comes and p.comes <= noon < plot.OFFLINE_DELIVERED)


def connected(cohort: list[Person], wave: Wave, number: int) -> int:
    """Return how many of ``cohort`` have come by D+``number``, counted in working days."""
    end = working_day(wave.go_live, number)
    return sum(person.comes is not None and person.comes <= end for person in cohort)


def _of_wave(cohort: list[Person], wave: Wave) -> Iterator[Known]:
    for rule, number, target in WAVE_RULES:
        come = connected(cohort, wave, number)
        if Fraction(come, len(cohort)) < target:
            yield Known(rule, "wave", wave.id, CONFIRMED, f"{come} of {len(cohort)} by D+{number}")


def _of_people(cohort: list[Person], wave: Wave) -> Iterator[Known]:
    """One alert a person: who came on D+3 was missed on D+2 only, for the others the louder rule took its place."""
    third = working_day(wave.go_live, 3)
    for person in cohort:
        if person.comes is None or person.comes > third:
            yield Known(D3, "user", person.user, CONFIRMED, _excuse(person))
        elif person.comes == third:
            yield Known(D2, "user", person.user, CONFIRMED, _excuse(person))


def _excuse(person: Person) -> str:
    if person.team == plot.NEVER_CAME:
        return f"team {person.team} never came"
    if person.synced:
        return "only software acts in this name"
    if person.pilot and person.comes is None:
        return "tried it before go-live and never came back"
    return f"came late, on {_day(person.comes)}"


def _day(day: date | None) -> str:
    return day.strftime("%-d %B") if day else "no day"


def _outage() -> Known:
    lasting = f"{plot.OUTAGE_SOURCE} sends nothing from {_day(plot.OUTAGE_FROM)} until {_day(plot.OUTAGE_END)}"
    return Known(SILENT, "tenant", "all", CONFIRMED, reason=lasting)


def _drops() -> Iterator[Known]:
    collapse = f"{plot.COLLAPSE_LOST} people stop in week {plot.COLLAPSE_WEEK}"
    yield Known(DROP, "team", plot.COLLAPSE, CONFIRMED, reason=collapse)
    erosion = f"one more stops in each of weeks {', '.join(map(str, plot.EROSION_STOPS))}"
    yield Known(DROP, "team", plot.EROSION, CONFIRMED, reason=erosion)
    dip = f"{plot.DIP_LOST} people away in weeks {' and '.join(map(str, plot.DIP_WEEKS))}, then back"
    yield Known(DROP, "team", plot.DIP, SUSPECTED, reason=dip)


def _masquerade() -> Iterator[Known]:
    mask = "comes every day, and its deals are good for nothing"
    for rule in (FAKE, *SIGNS):
        yield Known(rule, "team", plot.MASQUERADE, CONFIRMED, reason=mask)
