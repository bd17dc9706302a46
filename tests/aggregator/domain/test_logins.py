"""How far logins are known, and what is said of waves and people where they are not."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from services.aggregator.domain.logins import ALL, NONE, STALE, LoginSource, known
from services.aggregator.domain.rules.access import unjudged
from services.aggregator.domain.waves import Connection, connections
from tests.aggregator.world import Book, World, crew, later, users

D1, D3 = "wave-connection-d1-below-target", "wave-connection-d3-emergency"
PERSON = "user-not-connected-d2"


def world(told: datetime | None, of: int = 12) -> World:
    """Return a wave of which nobody has logged in; the source's newest login, of somebody else, was at ``told``."""
    made = World(crew(of))
    made.logins = {user: set() for user in users(made.members)}
    made.told = told
    return made


def items(made: World, now: datetime | None) -> dict[int, Connection]:
    return {item.n: item for item in connections(made.rollout(made.waves[0]), made.calendar, now)}


def rules(made: World, now: datetime) -> set[str]:
    return {finding.rule for finding in made.judge(now)}


# ---------------------------------------------------------------- how far logins are known


@pytest.mark.parametrize(
    ("sources", "complete", "fresh"),
    [
        ([], None, None),
        ([LoginSource("x", None, None)], None, None),
        ([LoginSource("/hooks/x", later(1), None)], later(4), later(4)),
        ([LoginSource("/hooks/x", later(1), None, 96)], later(5), later(5)),
        ([LoginSource("/hooks/x", later(1), later(1))], later(1), later(4)),
        ([LoginSource("/hooks/x", later(1), later(2))], later(2), later(5)),
        ([LoginSource("/hooks/x", None, later(2))], later(2), later(5)),
        ([LoginSource("/hooks/x", later(3), later(2))], later(6), later(6)),
        ([LoginSource("/hooks/x", later(3), later(2), imported=True)], later(3), later(6)),
        ([LoginSource("/logins/csv", later(1), None)], later(1), later(4)),
        ([LoginSource("/logins/csv", later(9), None), LoginSource("/hooks/x", later(7), None)], later(10), later(12)),
    ],
    ids=[
        *("no source", "a silent one", "a live one", "one of another bound", "an import", "an import that says so"),
        *("nobody came", "live after an import", "amid an import", "no source named", "two"),
    ],
)
def test_sources_speak_for_a_time(
    sources: Sequence[LoginSource], complete: datetime | None, fresh: datetime | None
) -> None:
    assert known(sources)[:2] == (complete, fresh)


def test_where_work_connects_everything_is_known() -> None:
    assert ALL.at(datetime.max.replace(tzinfo=later(0).tzinfo))
    assert ALL.unknown(later(10**5)) is None


# ---------------------------------------------------------------- waves


def test_without_a_source_every_checkpoint_is_unknown_and_nobody_is_missing() -> None:
    made = world(None)

    for now in (None, later(-3), later(20)):
        assert {
            (item.num, item.den, item.settled, *item.missing, item.reason) for item in items(made, now).values()
        } == {(0, 12, False, NONE)}
    assert made.judge(later(20)) == []


def test_a_stale_source_leaves_what_it_knew_and_says_nothing_of_the_rest() -> None:
    found = items(world(later(-1)), later(20))  # known up to the ninth hour of D+2

    assert [(n, item.settled, len(item.missing), item.reason) for n, item in found.items()] == [
        (0, True, 12, None),
        (1, True, 12, None),
        *((n, False, 0, STALE) for n in (2, 3, 5, 7, 10, 14)),
    ]
    assert rules(world(later(-1)), later(20)) == {D1}


def test_who_connected_all_the_same_is_counted() -> None:
    made = world(later(-1))
    assert made.logins is not None
    made.logins["north-00"].add(later(1))
    made.told = later(-1)

    assert items(made, later(20))[14].num == 1


def test_a_day_that_is_not_over_is_shown_while_the_source_is_fresh() -> None:
    found = items(world(later(1)), later(2))

    assert [(item.settled, item.reason) for item in found.values()] == [(True, None)] * 2 + [(False, None)] * 6


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (later(-1, 11), {D1}),
        (later(-1, 12), {D1, PERSON}),
        (later(0, 23.9), {D1, PERSON}),
        (later(1, 0), {D1, D3, "user-never-logged-in-d3"}),
    ],
    ids=["before noon of D+2", "noon of D+2", "before the end of D+3", "the end of D+3"],
)
def test_a_rule_judges_when_its_moment_is_known(told: datetime, found: set[str]) -> None:
    assert rules(world(told), later(4)) == found


def test_logins_that_come_later_are_judged_as_if_they_had_been_there() -> None:
    late, prompt = world(None), world(later(9))
    assert late.judge(later(9)) == []
    late.told = later(9)

    assert late.judge(later(9)) == prompt.judge(later(9)) != []


# ---------------------------------------------------------------- alerts that are open already


def test_what_is_open_stays_as_it_is_while_nothing_is_known() -> None:
    made, book = world(later(1)), Book()
    book.advance(made.judge(later(4)), later(4))
    before = dict(book.alerts)
    assert len(before) == 14
    made.told = later(-30)

    now = later(5)
    kept = set(unjudged(made.rollout(made.waves[0]), made.calendar, now))
    assert book.advance(made.judge(now), now, kept) == []
    assert book.alerts == before


def test_an_open_emergency_is_not_followed_through_days_that_are_unknown() -> None:
    made = world(later(1, 0))
    [finding] = [each for each in made.judge(later(8)) if each.rule == D3]

    assert (finding.closed_at, finding.evidence["latest"]) == (None, {"n": 3, "num": 0, "den": 12, "value": 0})


def test_an_emergency_ends_by_who_is_known_to_have_come() -> None:
    made = world(later(1, 0))
    assert made.logins is not None
    for user in users(made.members)[:10]:
        made.logins[user].add(later(6))
    [finding] = [each for each in made.judge(later(8)) if each.rule == D3]

    assert finding.resolution == "recovered"


def test_what_is_unjudged_is_what_is_due_and_not_known() -> None:
    made = world(later(-1))
    rollout = made.rollout(made.waves[0])

    assert {family for family, _ in unjudged(rollout, made.calendar, later(4))} == {
        "user-not-connected",
        "wave-connection-d3",
    }
    assert not list(unjudged(rollout, made.calendar, later(2)))
