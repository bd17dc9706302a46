"""The windows core against brute force: every cell, whatever the order, batching, duplication and directory."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.ranges import covered, newly_covered
from services.aggregator.domain.windows import (
    ACTIONS,
    FIELDS,
    FOREVER,
    LENGTHS,
    REVISION,
    USER_DAYS,
    DayChange,
    Deltas,
    PersonDay,
    Row,
    Term,
    extend,
    move,
)

SPAN = range(90)
NEVER = -1

days = st.sets(st.integers(5, 60), max_size=14)
activities = st.lists(st.tuples(st.integers(5, 60), st.integers(0, 3), st.booleans()), max_size=25)


@st.composite
def terms(draw: st.DrawFn) -> tuple[Term, ...]:
    cuts = sorted(draw(st.sets(st.integers(0, 80), min_size=2, max_size=4)))
    stretches = list(zip(cuts, [*cuts[1:-1], draw(st.sampled_from([cuts[-1], FOREVER]))], strict=False))
    return tuple(Term("team", draw(st.sampled_from("AB")), start, end) for start, end in stretches if start < end)


def totals(rows: Iterable[tuple[Row, Sequence[int]]]) -> dict[tuple[str, int, int], list[int]]:
    """Prefix sums, and the amounts of the days held: the value of every (key, length, as-of day)."""
    steps: dict[tuple[str, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * FIELDS))
    for row, values in rows:
        for field, value in enumerate(values):
            if row.days == 1 and field in (ACTIONS, USER_DAYS):
                for length in LENGTHS:
                    steps[row.key, length][row.day][field] += value
                    steps[row.key, length][row.day + length][field] -= value
            else:
                steps[row.key, row.days][row.day][field] += value
    cells = {}
    for (key, length), by_day in steps.items():
        running = [0] * FIELDS
        for day in SPAN:
            running = [a + b for a, b in zip(running, by_day.get(day, [0] * FIELDS), strict=True)]
            if any(running):
                cells[key, length, day] = list(running)
    return cells


def brute_force(people: Sequence[tuple[Sequence[Term], Sequence[PersonDay]]]) -> dict[tuple[str, int, int], list[int]]:
    cells = {}
    for key in "AB":
        for length in LENGTHS:
            for as_of in SPAN:
                cell = [0] * FIELDS
                for held, facts in people:
                    if not any(term.key == key and term.start <= as_of < term.end for term in held):
                        continue
                    inside = [fact for fact in facts if as_of - length < fact.day <= as_of]
                    for field, value in enumerate(
                        (1, bool(inside), any(f.logged_in for f in inside), sum(f.actions for f in inside), len(inside))
                    ):
                        cell[field] += int(value)
                if any(cell):
                    cells[key, length, as_of] = cell
    return cells


def facts_of(events: Iterable[tuple[int, int, bool]]) -> list[PersonDay]:
    by_day: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for day, actions, login in events:
        by_day[day].append((actions, login))
    return [PersonDay(d, sum(a for a, _ in xs), any(login for _, login in xs)) for d, xs in sorted(by_day.items())]


@given(days, days)
def test_the_neighbour_rule_covers_exactly_what_the_new_days_add(old: set[int], new: set[int]) -> None:
    for length in LENGTHS:
        before = {d for day in old for d in range(day, day + length)}
        after = before | {d for day in new for d in range(day, day + length)}
        ranges = list(newly_covered(sorted(old), sorted(new - old), length))
        gained = [d for low, high in ranges for d in range(low, high)]

        assert sorted(gained) == sorted(after - before)


@given(days)
def test_covered_days_are_disjoint_and_complete(active: set[int]) -> None:
    for length in LENGTHS:
        listed = [d for low, high in covered(sorted(active), length) for d in range(low, high)]

        assert sorted(listed) == sorted({d for day in active for d in range(day, day + length)})


@settings(max_examples=150)
@given(st.data(), terms(), terms(), activities)
def test_any_batching_and_any_directory_change_ends_in_the_brute_force_cells(
    data: st.DataObject, first: tuple[Term, ...], second: tuple[Term, ...], events: list[tuple[int, int, bool]]
) -> None:
    deltas = Deltas()
    folded: list[tuple[int, int, bool]] = []
    held: tuple[Term, ...] = ()
    waiting = list(data.draw(st.permutations(events)))
    for coming in (first, second, None):
        take = len(waiting) if coming is None else data.draw(st.integers(0, len(waiting)))
        batch, waiting = waiting[:take], waiting[take:]
        before = {fact.day: fact for fact in facts_of(folded)}
        changes = [
            DayChange(
                f.day, f.actions, f.day not in before, f.logged_in and not (f.day in before and before[f.day].logged_in)
            )
            for f in facts_of(batch)
        ]
        logins = [day for day, fact in before.items() if fact.logged_in]
        extend(deltas, "t", held, changes, active=sorted(before), logged_in=sorted(logins), final=NEVER)
        folded += batch
        if coming is not None:
            move(deltas, "t", facts_of(folded), old=held, new=coming, final=NEVER)
            held = coming

    assert totals(deltas.settle()) == brute_force([(held, facts_of(folded))])


def test_a_cell_that_changes_after_it_was_final_is_restated_once_per_batch() -> None:
    deltas = Deltas()
    member = (Term("team", "A", 0, FOREVER),)
    changes = [DayChange(10, 2, fresh=True, fresh_login=True), DayChange(12, 1, fresh=True, fresh_login=False)]

    extend(deltas, "t", member, changes, active=[], logged_in=[], final=11)
    revisions = {day: cell[REVISION] for (_, length, day), cell in totals(deltas.settle()).items() if length == 7}

    assert {day: revisions[day] for day in (10, 11)} == {10: 1, 11: 1}
    assert revisions[12] == 0


def test_a_licence_older_than_time_itself_ends_in_rows_that_are_dates() -> None:
    deltas = Deltas()

    move(deltas, "t", [], old=(), new=(Term("tenant", "all", -700_000, FOREVER),), final=NEVER)

    assert [(row.days, row.day) for row, _ in deltas.settle()] == [(length, 0) for length in LENGTHS]
