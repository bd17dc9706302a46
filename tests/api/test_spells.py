"""Memberships over time, against a plain calendar."""

import random
from datetime import date, timedelta
from itertools import pairwise

from services.api.spells import (
    BEGINNING,
    DATED,
    LASTING,
    Spell,
    Terms,
    changed,
    counted,
    current,
    difference,
    first,
    told,
)

START = date(2026, 1, 1)


def terms(team: str | None) -> Terms:
    return Terms(team, None, None)


def by_day(spells: list[Spell], days: list[date]) -> list[Terms | None]:
    return [next((s.terms for s in spells if s.start <= d and (s.end is None or d < s.end)), None) for d in days]


def test_any_row_of_changes_equals_a_calendar_in_which_each_day_is_overwritten() -> None:
    days = [START + timedelta(days=n) for n in range(-5, 40)]
    for seed in range(500):
        rng = random.Random(seed)
        calendar: dict[date, Terms | None]
        spells = first(terms("A"), None)
        calendar = dict.fromkeys(days, terms("A"))
        for _ in range(rng.randint(1, 8)):
            start = START + timedelta(days=rng.randint(0, 30))
            told = terms(rng.choice("ABC"))
            spells = changed(spells, told, effective_from=start, today=START)
            calendar.update(dict.fromkeys((day for day in days if day >= start), told))
            assert by_day(spells, days) == list(calendar.values())
            assert spells[-1].end is None
            assert all(a.end == b.start and a.terms != b.terms for a, b in pairwise(spells))


def test_two_moves_on_one_day_leave_the_last() -> None:
    spells = first(terms("A"), None)
    for team in ("B", "C"):
        spells = changed(spells, terms(team), effective_from=None, today=START)

    assert spells == [Spell(BEGINNING, START, terms("A")), Spell(START, None, terms("C"))]


def test_moving_back_on_the_same_day_leaves_no_trace() -> None:
    spells = first(terms("A"), None)
    for team in ("B", "A"):
        spells = changed(spells, terms(team), effective_from=None, today=START)

    assert spells == first(terms("A"), None)


def test_another_manager_is_no_other_counting() -> None:
    spells = [Spell(BEGINNING, START, Terms("A", "x", "m")), Spell(START, None, Terms("A", "x", "n"))]

    assert counted(spells) == [(BEGINNING, None, "human", "A", "x")]


def test_before_the_first_spell_the_next_one_is_current() -> None:
    assert current(first(terms("A"), START), START - timedelta(days=9)) == Spell(START, None, terms("A"))


def test_what_is_told_of_some_terms_leaves_the_others_and_holds_from_when_it_should() -> None:
    days = [START + timedelta(days=n) for n in range(-5, 40)]
    for seed in range(400):
        rng = random.Random(seed)
        today = START + timedelta(days=rng.randint(0, 10))
        spells = first(terms("A"), None)
        calendar = dict.fromkeys(days, terms("A"))
        for _ in range(rng.randint(1, 6)):
            values = {
                name: value
                for name, value in (
                    ("team", rng.choice("AB")),
                    ("manager", rng.choice(["x", None])),
                    ("location", rng.choice(["Kiel", None])),
                    ("champion", rng.random() < 0.5),
                    ("work_days", rng.choice([(1, 2), None])),
                )
                if rng.random() < 0.5
            }
            since = rng.choice([None, START + timedelta(days=rng.randint(0, 30))])
            before, standing = list(spells), calendar[since or today]
            spells = told(spells, values, effective_from=since, today=today)
            moved = {name for name, value in values.items() if value != getattr(standing, name)}
            if since is not None:
                calendar |= {day: standing._replace(**values) for day in days if day >= since}
            else:
                lasting = {name: values[name] for name in moved & set(LASTING)}
                calendar = {day: held._replace(**lasting) for day, held in calendar.items()}
                if moved & set(DATED):
                    calendar |= {day: standing._replace(**values) for day in days if day >= today}
            assert by_day(spells, days) == list(calendar.values())
            assert all(a.end == b.start and a.terms != b.terms for a, b in pairwise(spells))
            assert difference(before, spells) == next(
                (day for day in [BEGINNING, *days] if by_day(before, [day]) != by_day(spells, [day])), None
            )
            assert told(spells, values, effective_from=since, today=today) == spells
