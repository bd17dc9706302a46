"""How the events reach us: mostly at once, some late, some twice, one team a week late, one source not at all."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Final

from services.simulator import acts, plot
from services.simulator.acts import Event
from services.simulator.cast import Story, working_day

COPIED: Final = 0.03
LATE: Final = 0.004
LATEST: Final = timedelta(days=2)
Arrival = tuple[datetime, str, int, Event]


def events(story: Story) -> Iterator[Event]:
    """Yield every CloudEvent of ``story`` in the order of arrival, copies included."""
    arrivals = list(_arrivals(story))
    arrivals.sort(key=lambda arrival: arrival[:3])
    for _, _, _, event in arrivals:
        yield event


def checkpoints() -> list[str]:
    """Return, sorted, the instants (as events write them) at which a wave or a week is judged by who has come."""
    launches = {
        acts.instant(working_day(wave.go_live, number), hour * 3600)
        for wave in plot.WAVES
        for number, hour in plot.CHECKPOINTS
    }
    mondays = {
        acts.instant(plot.FIRST_DAY + timedelta(weeks=week), plot.WEEK_JUDGED * 3600)
        for week in range(1, plot.WEEKS + 1)
    }
    return sorted(map(acts.stamp, launches | mondays))


def _arrivals(story: Story) -> Iterator[Arrival]:
    offline = _offline(story)
    outage = (acts.stamp(acts.instant(plot.OUTAGE_FROM, 0)), acts.stamp(acts.instant(plot.OUTAGE_END, 0)))
    rng = acts.rng_of(story, "delivery")
    for event in _all(story):
        if event["source"] == plot.OUTAGE_SOURCE and outage[0] <= event["time"] < outage[1]:
            continue
        arrives = _arrives(event, event["data"]["user"] in offline, rng)
        yield arrives, event["id"], 0, event
        if rng.random() < COPIED:
            yield arrives + timedelta(seconds=rng.expovariate(1 / 20_000)), event["id"], 1, event


def _all(story: Story) -> Iterator[Event]:
    for person in story.people:
        yield from acts.of_person(story, person)
    yield from acts.of_machines(story)


def _offline(story: Story) -> frozenset[str]:
    return frozenset(person.user for person in story.team(plot.OFFLINE))


def _arrives(event: Event, offline: bool, rng: Random) -> datetime:  # noqa: FBT001 - one fact, told by the caller
    happened = datetime.fromisoformat(event["time"])
    arrives = happened + timedelta(seconds=rng.uniform(0.4, 30))
    chance = rng.random()
    if offline and acts.instant(plot.OFFLINE_FROM, 0) <= happened < acts.instant(plot.OFFLINE_END, 0):
        return acts.instant(plot.OFFLINE_DELIVERED, 6 * 3600 + 600 * chance)
    return arrives + LATEST * (chance / LATE) if chance < LATE else arrives
