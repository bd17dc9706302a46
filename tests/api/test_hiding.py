"""Whether numbers of a group over some days may be told, by the weeks they touch."""

from datetime import date

import pytest

from services.sight import Curtain

NORTH = ("team", "North")
FIRST, LAST = date(2026, 2, 2), date(2026, 3, 2)
"""Mondays: the first and the last week that were measured."""
HIDDEN = frozenset({(date(2026, 2, 16), *NORTH), (LAST, "role", "rep")})


def curtain(**changes: object) -> Curtain:
    return Curtain(**{"least": 5, "weeks": (FIRST, LAST), "hidden": HIDDEN, **changes})  # type: ignore[arg-type]


SUNDAYS = {"first_day_of_week": 7, "weeks": (date(2026, 2, 1), date(2026, 3, 1))}
ALL, REP = ("tenant", "all"), ("role", "rep")

STAYS = [
    pytest.param(curtain(), NORTH, "02-22", "02-22", 9, id="on the last day of a week in which its group is"),
    pytest.param(curtain(), NORTH, "02-02", "03-01", 9, id="over four weeks when its group is in one of them"),
    pytest.param(curtain(), NORTH, "02-23", "03-01", 4, id="when it is of too few people itself"),
    pytest.param(curtain(), ALL, "02-23", "03-01", 4, id="in a small tenant"),
    pytest.param(curtain(), REP, "04-01", "04-30", 9, id="in weeks not measured yet as in the last"),
    pytest.param(curtain(weeks=None), NORTH, "02-09", "02-15", 9, id="before anything was measured"),
    pytest.param(
        curtain(hidden=frozenset({(date(2026, 2, 15), *NORTH)}), **SUNDAYS),
        NORTH,
        "02-15",
        "02-15",
        9,
        id="in a week that begins on Sunday",
    ),
]
IS_SHOWN = [
    pytest.param(curtain(), NORTH, "02-09", "02-15", 9, id="in a week in which its group is"),
    pytest.param(curtain(), NORTH, "02-23", "02-23", 9, id="on the day after a hidden week"),
    pytest.param(curtain(), NORTH, "01-01", "01-31", 9, id="in weeks before the first as in the first"),
    pytest.param(curtain(weeks=None), ALL, "02-09", "02-15", 9, id="of the whole tenant before anything was measured"),
    pytest.param(curtain(least=1), NORTH, "02-16", "02-16", 1, id="where groups of one are"),
]


def hides(of: Curtain, group: tuple[str, str], first: str, last: str, people: int) -> bool:
    return of.hides(group, date.fromisoformat(f"2026-{first}"), date.fromisoformat(f"2026-{last}"), people)


@pytest.mark.parametrize(("of", "group", "first", "last", "people"), STAYS)
def test_a_number_stays_hidden(of: Curtain, group: tuple[str, str], first: str, last: str, people: int) -> None:
    assert hides(of, group, first, last, people)


@pytest.mark.parametrize(("of", "group", "first", "last", "people"), IS_SHOWN)
def test_a_number_is_shown(of: Curtain, group: tuple[str, str], first: str, last: str, people: int) -> None:
    assert not hides(of, group, first, last, people)
