"""People, tenants and acts for the tests of the metrics, each from the one or two things that matter to a test."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from services.metrics.activity import connects, first_connecting_day
from services.metrics.people import contribute
from services.metrics.shape import Act, Contribution, Counts, Interval, Person, Policy, Spell, WaveStart

MONDAY = date(2026, 3, 2)
"""The go-live of the wave that people are in, unless told otherwise."""
LONG_AGO = date(2025, 1, 1)
FOREVER = Interval(date.min, None)
SUNDAY_TO_THURSDAY = frozenset({7, 1, 2, 3, 4})


def day(text: str) -> date:
    return date.fromisoformat(text)


def span(first: str, end: str | None = None) -> Interval:
    """From ``first`` until before ``end``."""
    return Interval(day(first), None if end is None else day(end))


def tenant(**more: Any) -> Policy:
    """A tenant with waves, in UTC."""
    return Policy(**{"waves": True, **more})


def person(go_live: date = MONDAY, **more: Any) -> Person:
    """Somebody with a licence since long ago, in a wave of their own since then."""
    spell = {key: more.pop(key) for key in list(more) if key in Spell.__dataclass_fields__}
    usual: dict[str, Any] = {
        "spells": [Spell(FOREVER, **{"team": "A", "role": "rep", **spell})],
        "licences": [Interval(LONG_AGO, None)],
        "waves": [WaveStart("w", go_live, LONG_AGO)],
    }
    return Person("u", **{**usual, **more})


def act(on: date | str, hour: int = 12, zone: tzinfo = UTC, **more: Any) -> Act:
    """An update of an opportunity on the local day ``on``."""
    on = day(on) if isinstance(on, str) else on
    at = datetime.combine(on, time(hour), zone).astimezone(UTC)
    usual = {"kind": "crm.record.updated", "origin": "ui", "object": "opportunity", "record": "1"}
    return Act(at, **{**usual, **more})


def told(who: Person, policy: Policy, week: date, acts: Sequence[Act] = ()) -> Contribution:
    """What ``who`` adds to the week, the first activity being what follows from ``acts``."""
    first_on = first_connecting_day(who, policy, [act.at for act in acts if connects(act, policy)])
    found = contribute(who, policy, week, acts, first_on)
    assert found is not None
    return found


def through(who: Person, policy: Policy, first: date, weeks: int, acts: Sequence[Act] = ()) -> Counts:
    """Every cell of ``who`` in ``weeks`` weeks from ``first`` on, by code and date: ``M1:3@2026-03-05``."""
    cells: Counts = {}
    for week in (first + timedelta(weeks=number) for number in range(weeks)):
        for code, count in told(who, policy, week, acts).counts.items():
            name, _, offset = code.partition("@")
            cells[f"{name}@{week + timedelta(days=int(offset or 0))}"] = count
    return cells


def group(people: Sequence[Person], policy: Policy, week: date, acts: Sequence[Sequence[Act]]) -> Counts:
    """The sums over ``people``, each with their own acts."""
    sums: Counts = {}
    for who, done in zip(people, acts, strict=True):
        for code, (num, den) in told(who, policy, week, done).counts.items():
            before = sums.get(code, (0, 0))
            sums[code] = (before[0] + num, before[1] + den)
    return sums
