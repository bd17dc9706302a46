"""Licences and absences over time, against a plain calendar; and how rows tell of them."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.api.licences import Absence, Licence, away, in_order, lasts, standing, switched, told
from services.api.people_row import FieldError, values_of

START = date(2026, 1, 1)
DAYS = [START + timedelta(days=n) for n in range(60)]


def day(number: int) -> date:
    return START + timedelta(days=number)


def on(licences: Any, one: date) -> Decimal | bool:
    held = [x for x in licences if x.start <= one and (x.last is None or one <= x.last)]
    assert len(held) <= 1
    return (held[0].price or True) if held else False


def test_what_is_told_from_a_day_on_leaves_all_before_it_and_holds_after_it() -> None:
    for seed in range(400):
        rng = random.Random(seed)
        held: tuple[Licence, ...] = ()
        calendar: dict[date, Decimal | bool] = dict.fromkeys(DAYS, False)
        for _ in range(rng.randint(1, 6)):
            since, start = day(rng.randint(0, 50)), day(rng.randint(0, 50))
            last = rng.choice([None, start + timedelta(days=rng.randint(0, 9))])
            price = rng.choice([None, Decimal(9)])
            values = {"licensed_from": start, "licensed_to": last, "price": price}
            held = told(held, values, effective_from=since, today=START)
            for one in DAYS:
                if one >= since:
                    calendar[one] = (price or True) if start <= one and (last is None or one <= last) else False
            assert {one: on(held, one) for one in DAYS} == calendar
            assert held == in_order(held)
            assert told(held, values, effective_from=since, today=START) == held


def row(**values: Any) -> dict[str, Any]:
    return values


TOLD = [
    pytest.param(row(licensed_from=day(0)), (), [(0, None)], id="the first one"),
    pytest.param(row(licensed_from=None), [(0, None)], [], id="none any more"),
    pytest.param(row(licensed_to=day(9)), [(0, None)], [(0, 9)], id="an end"),
    pytest.param(row(licensed_from=day(2)), [(0, 9)], [(2, 9)], id="another start"),
    pytest.param(
        row(licensed_from=day(40), licensed_to=None), [(0, 9), (20, 30)], [(0, 9), (40, None)], id="the one of today"
    ),
    pytest.param(
        row(licensed_from=day(0), licensed_to=day(12)), [(0, 9), (20, 30)], [(0, 12), (20, 30)], id="by its start"
    ),
    pytest.param(
        row(licensed_from=day(0), licensed_to=day(9)), [(0, 9), (20, 30)], [(0, 9), (20, 30)], id="as it stands"
    ),
    pytest.param(row(licensed_to=day(35)), [(0, 9), (20, 30)], [(0, 9), (20, 35)], id="the end of the one of today"),
    pytest.param(row(team="North"), [(0, 9)], [(0, 9)], id="of something else"),
]


@pytest.mark.parametrize(("values", "before", "after"), TOLD)
def test_without_a_day_the_licence_is_as_told_over_all_time(values: dict[str, Any], before: Any, after: Any) -> None:
    def spans(pairs: Any) -> tuple[Licence, ...]:
        return tuple(Licence(day(a), None if b is None else day(b)) for a, b in pairs)

    found = told(spans(before), values, effective_from=None, today=day(25))

    assert found == spans(after)
    assert told(found, values, effective_from=None, today=day(25)) == found


def test_a_licence_cannot_overlap_another_nor_end_before_it_starts() -> None:
    held = (Licence(day(0), day(9)), Licence(day(20), None))

    with pytest.raises(ValueError, match="overlaps the licence from 2026-01-01 to 2026-01-10"):
        told(held, {"licensed_from": day(5)}, effective_from=None, today=day(25))
    with pytest.raises(ValueError, match="lies before licensed_from"):
        told(held, {"licensed_to": day(3)}, effective_from=None, today=day(25))


def test_what_adjoins_at_one_price_is_one_licence() -> None:
    parts = [Licence(day(5), day(9)), Licence(day(0), day(4)), Licence(day(10), None, Decimal(3))]

    assert in_order(parts) == (Licence(day(0), day(9)), Licence(day(10), None, Decimal(3)))


def test_the_standing_licence_is_the_one_that_covers_the_day_or_the_next_or_the_last() -> None:
    held = (Licence(day(0), day(4)), Licence(day(10), day(14)))

    assert [standing(held, day(n)) for n in (2, 7, 12, 20)] == [held[0], held[1], held[1], held[1]]
    assert standing((), day(0)) is None


def test_who_is_switched_off_has_a_licence_until_the_end_of_the_day() -> None:
    held = (Licence(day(0), day(4)), Licence(day(10), None), Licence(day(50), None))

    off = switched(held[:2], day(20), active=False)
    assert off == (held[0], Licence(day(10), day(20)))
    assert lasts(off, day(20)) is False
    assert switched(off, day(20), active=False) == switched(off, day(20), active=False) == off
    assert switched(off, day(25), active=True) == (held[0], Licence(day(10), None))
    assert switched((Licence(day(20), None),), day(20), active=False) == ()
    assert switched((), day(20), active=True) == (Licence(day(20), None),)


def test_absences_of_one_kind_become_one_and_different_ones_may_not_overlap() -> None:
    found = away([Absence(day(4), day(6)), Absence(day(0), day(3)), Absence(day(7), day(8), "sick")])
    assert found == (Absence(day(0), day(6)), Absence(day(7), day(8), "sick"))

    with pytest.raises(ValueError, match="overlaps the leave from"):
        away([Absence(day(0), day(6)), Absence(day(5), day(9), "sick")])


CELLS = [
    ("work_days", "1,2,3", (1, 2, 3)),
    ("work_days", "mon-wed", (1, 2, 3)),
    ("work_days", "Mon - Wed, Friday", (1, 2, 3, 5)),
    ("work_days", "sun-thu", (1, 2, 3, 4, 7)),
    ("work_days", "2-4;7", (2, 3, 4, 7)),
    ("work_days", [3, 1], (1, 3)),
    ("work_days", "", None),
    ("work_days", None, None),
    ("price", "49.90", Decimal("49.9")),
    ("price", 12, Decimal(12)),
    ("price", "", None),
    ("calendar", "de-by", "DE-BY"),
    ("calendar", "PT", "PT"),
    ("opted_out", "yes", True),
    ("champion", "", False),
    ("kind", "", "human"),
    ("licences", [{"from": "2026-01-01", "price": 3}], (Licence(START, None, Decimal(3)),)),
    ("absences", [{"from": "2026-01-01", "to": "2026-01-02"}], (Absence(START, day(1)),)),
]


@pytest.mark.parametrize(("column", "cell", "value"), CELLS)
def test_a_cell_is_read(column: str, cell: object, value: object) -> None:
    assert values_of({"user": "anna", column: cell})[column] == value


BAD = [
    *(("work_days", cell) for cell in ("8", "mon-", "0-3", "today", "mo", [1, "x"], [True], {"a": 1}, "mon--wed")),
    *(("price", cell) for cell in ("much", "-1", "NaN", "1e12", "1.00001", True, [1], "Infinity")),
    *(("calendar", cell) for cell in ("Germany", "XX", "DE-XX", "DE-", 5)),
    *(("time_zone", cell) for cell in ("Mars/Phobos", "CEST+2", 7)),
    *(("licences", cell) for cell in ("2026", [1], [{}], [{"from": None}], [{"from": "2026-01-01", "x": 1}])),
    ("licences", [{"from": "2026-01-05", "to": "2026-01-01"}]),
    ("licences", [{"from": "2026-01-01"}, {"from": "2026-02-01"}]),
    ("licences", [{"from": "2026-01-01"}] * 201),
    ("absences", [{"from": "2026-01-01"}]),
    ("absences", [{"from": "2026-01-05", "to": "2026-01-01"}]),
    ("absences", [{"from": "2026-01-01", "to": "2026-01-05", "kind": "x" * 300}]),
    ("opted_out", "perhaps"),
]


@pytest.mark.parametrize(("column", "cell"), BAD)
def test_a_cell_that_cannot_be_used_is_named(column: str, cell: object) -> None:
    with pytest.raises(FieldError) as error:
        values_of({"user": "anna", column: cell})

    assert [named for named, _ in error.value.reasons] == [column]
