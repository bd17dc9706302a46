"""What people get, as a time line: a hundred alerts, a Friday evening, a night, a new manager, a mistake."""

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from services.postgres import Pool
from tests.notifier.office import Letter, Office, berlin, furnish, moves, subscribe

NAMED = {"severity": "critical"}


@pytest.fixture
async def office(pool: Pool) -> Office:
    made = await furnish(pool)
    await subscribe(made)
    return made


def lines(letter: Letter) -> Counter[str]:
    return Counter(line["what"] for line in letter.body["lines"])


async def test_a_hundred_alerts_on_one_day_interrupt_a_manager_three_times(office: Office) -> None:
    for number in range(100):
        at = berlin(2, 9) + timedelta(minutes=4 * number)
        await office.opens(at, f"p{number % 11:02}", severity="critical")
        if number % 2:
            await office.at(at)
    interruptions = list(office.box)

    await office.opens(berlin(2, 17), severity="emergency")
    alarm = await office.at(berlin(2, 17))
    (morning,) = await office.through(berlin(2, 18), berlin(3, 9))

    assert [letter.kind for letter in interruptions] == ["group", "group", "group"]
    assert [letter.told for letter in alarm] == [[("opened", "Ada")]]
    assert lines(morning) == {"opened": 94}
    told = Counter(line["alert"] for letter in office.box for line in letter.body["lines"])
    assert (len(told), set(told.values())) == (101, {1})


async def test_a_week_has_ten_interruptions(office: Office) -> None:
    kinds: Counter[str] = Counter()
    for day in range(2, 7):
        for hour in range(9, 14):
            await office.opens(berlin(day, hour), severity="critical")
            kinds.update(letter.kind for letter in await office.at(berlin(day, hour)))
        kinds.update(letter.kind for letter in await office.through(berlin(day, 14), berlin(day + 1, 8)))

    assert kinds["change"] + kinds["group"] == 10
    assert kinds["digest"] == 4


async def test_a_friday_evening_is_told_on_monday_morning_in_one_message(office: Office) -> None:
    await office.opens(berlin(6, 17, 30), "ada")
    await office.opens(berlin(6, 19), "p00", **NAMED)

    quiet = await office.through(berlin(6, 18), berlin(9, 7))
    (letter,) = await office.through(berlin(9, 8), berlin(9, 17))

    assert quiet == []
    assert (letter.to, letter.kind, letter.at) == ("mia", "digest", berlin(9, 8))
    assert letter.told == [("opened", "P00"), ("opened", "Ada")]


async def test_an_emergency_is_told_at_night(office: Office) -> None:
    sponsor = [{"role": "sponsor"}]
    wave = {"subject_kind": "wave", "subject_key": "north", "severity": "emergency", "audience": sponsor}
    (letter,) = await _at(office, berlin(3, 2, 10), **wave)

    assert (letter.to, letter.at) == ("sam", berlin(3, 2, 10))


async def _at(office: Office, at: Any, user: str = "ada", **columns: Any) -> list[Letter]:
    await office.opens(at, user, **columns)
    return await office.at(at)


async def test_on_the_event_clock_the_directory_is_that_of_the_day_it_is_there(office: Office) -> None:
    await office.run("update tenant set clock = 'event'")
    await office.run("insert into tally (tenant, shard, newest) values ('acme', 0, $1)", berlin(2, 9) - timedelta(60))
    await moves(office, "ada", "max", berlin(2, 9).date() - timedelta(30))

    await office.opens(berlin(2, 10), **NAMED)
    (letter,) = await office.through(berlin(2, 10), berlin(2, 11))

    assert letter.to == "mia"


async def test_twelve_people_are_one_message_with_twelve_lines(office: Office) -> None:
    for user in ["ada", *(f"p{number:02}" for number in range(11))]:
        await office.opens(berlin(2, 18, 30), user, **NAMED)

    (letter,) = await office.through(berlin(2, 19), berlin(3, 9))

    assert lines(letter) == {"opened": 12}
    assert len({line["alert"] for line in letter.body["lines"]}) == 12


async def test_what_comes_right_behind_joins_the_message_and_what_is_over_by_then_leaves_it(office: Office) -> None:
    first = await office.opens(berlin(2, 10), "ada", **NAMED)
    await office.at(berlin(2, 10))
    await office.opens(berlin(2, 10, 0, 20), "p00", **NAMED)
    await office.at(berlin(2, 10, 0, 20))
    await office.change("resolved", first, berlin(2, 10, 0, 40))
    await office.at(berlin(2, 10, 0, 40))

    (letter,) = await office.at(berlin(2, 10, 1))

    assert (letter.kind, letter.told) == ("change", [("opened", "P00")])
    assert await office.through(berlin(2, 10, 2), berlin(4, 9)) == []


async def test_nobody_waits_longer_because_more_comes(office: Office) -> None:
    for number, second in enumerate((0, 20, 40)):
        await office.opens(berlin(2, 10, 0, second), f"p{number:02}", **NAMED)
        await office.at(berlin(2, 10, 0, second))

    (letter,) = await office.at(berlin(2, 10, 1))

    assert lines(letter) == {"opened": 3}
    assert await office.through(berlin(2, 10, 2), berlin(4, 9)) == []


async def test_a_manager_who_changes_hands_over_and_both_hear_of_the_end(office: Office) -> None:
    opened = await office.opens(berlin(2, 10), **NAMED)
    await office.through(berlin(2, 10), berlin(2, 11))
    await moves(office, "ada", "max", date(2026, 3, 3))

    handed = await office.through(berlin(3, 7), berlin(3, 12))
    await office.change("resolved", opened, berlin(3, 12))
    ends = await office.through(berlin(3, 12), berlin(5, 9))

    assert [(letter.to, letter.told) for letter in office.box[:1]] == [("mia", [("opened", "Ada")])]
    assert [(letter.to, letter.told) for letter in handed] == [("max", [("handed_over", "Ada")])]
    assert {(letter.to, *letter.told) for letter in ends} == {("max", ("resolved", "Ada")), ("mia", ("resolved", None))}


async def test_a_mistake_is_put_right_once_and_only_to_who_was_told(office: Office) -> None:
    told = await office.opens(berlin(2, 10), **NAMED)
    await office.through(berlin(2, 10), berlin(2, 11))
    quiet = await office.opens(berlin(2, 11), "p00")
    for one in (told, quiet):
        await office.change("resolved", one, berlin(2, 12), resolution="restated")

    after = await office.through(berlin(2, 12), berlin(4, 9))
    await office.change("restated", told, berlin(4, 9), resolution="restated", revision=9)

    assert [(letter.kind, letter.told) for letter in after] == [("correction", [("corrected", "Ada")])]
    assert await office.through(berlin(4, 9), berlin(5, 9)) == []


async def test_what_another_speaks_for_is_told_to_nobody_until_it_is_released(office: Office) -> None:
    parent = await office.opens(berlin(2, 10), "p00", **NAMED)
    child = await office.opens(berlin(2, 10), **NAMED, suppressed_by=parent["id"])
    (letter,) = await office.through(berlin(2, 10), berlin(2, 11))

    assert letter.body["lines"][0]["children_people"] == 1
    await office.change("released", child, berlin(2, 12), suppressed_by=None)
    (released,) = await office.through(berlin(2, 12), berlin(2, 13))
    assert released.told == [("opened", "Ada")]


async def test_who_was_told_before_it_was_inhibited_hears_of_the_end(office: Office) -> None:
    child = await office.opens(berlin(2, 10), **NAMED)
    await office.through(berlin(2, 10), berlin(2, 11))
    child = await office.change("suppressed", child, berlin(2, 12), suppressed_by="parent")
    await office.change("resolved", child, berlin(2, 13))

    (letter,) = await office.through(berlin(2, 12), berlin(3, 9))

    assert letter.told == [("resolved", "Ada")]


async def test_nothing_is_told_twice_by_two_notifiers_nor_after_a_restart(office: Office) -> None:
    for user in ("ada", "p00"):
        await office.opens(berlin(3, 10), user, **NAMED)
        await office.opens(berlin(3, 10), user)
    others = [office.notifier()[0] for _ in range(3)]
    office.clock.now = berlin(3, 10)
    await asyncio.gather(*(planner.round(berlin(3, 10)) for planner in others))
    for now in (berlin(4, 8), berlin(4, 8, 1)):
        office.clock.now = now
        await asyncio.gather(*(planner.round(now) for planner in others))
        await office.run("update subscription set cursor = 0, mornings_to = $1", berlin(4, 7, 59))

    await office.at(berlin(4, 9))

    told = Counter((letter.to, line["alert"]) for letter in office.box for line in letter.body["lines"])
    assert len(told) == 4
    assert set(told.values()) == {1}


async def test_a_week_begins_with_what_is_still_open_and_what_was_not_judged(office: Office) -> None:
    await office.at(berlin(3, 9))
    await office.opens(berlin(3, 10))
    await office.opens(berlin(4, 10), "p00", severity="info")
    await office.run(
        """insert into rule_evaluation (tenant, rule, subject_kind, subject_key, window_to, window_from, rule_version,
             revision, outcome, reason, as_of)
           select 'acme', 'team-lagging', 'team', team, '2026-03-08', '2026-03-02', 1, 0, 'not_judged', 'too_small', $1
           from unnest(array['North', 'Elsewhere']) team""",
        berlin(9, 0),
    )

    week = await office.through(berlin(3, 10), berlin(9, 9))

    assert [(letter.at, letter.kind) for letter in week] == [(berlin(4, 8), "digest"), (berlin(9, 8), "digest")]
    assert week[1].told == [("opened", "P00")]
    assert [line["person"] for line in week[1].body["standing"]] == ["Ada"]
    assert week[1].body["unjudged"] == [
        {"rule": "team-lagging", "reason": "too_small", "count": 1, "groups": ["North"]}
    ]


async def test_no_news_is_no_message(office: Office) -> None:
    await office.opens(berlin(3, 10))
    await office.through(berlin(3, 10), berlin(4, 9))

    assert await office.through(berlin(4, 9, 15), berlin(12, 9)) == []


async def test_a_manager_elsewhere_has_their_own_morning_and_holidays(office: Office) -> None:
    await office.run("update person set time_zone = 'America/New_York', calendar = 'US' where user_id = 'mia'")
    await office.opens(berlin(3, 10))

    early = await office.through(berlin(3, 10), berlin(3, 13, 59))
    (letter,) = await office.at(berlin(3, 14))

    assert early == []
    assert letter.to == "mia"


async def test_a_manager_on_leave_is_spoken_for_and_told_when_back(office: Office) -> None:
    await office.run(
        "insert into absence (tenant, user_id, first, last) values ('acme', 'mia', '2026-03-02', '2026-03-04')"
    )
    await office.opens(berlin(3, 10), **NAMED)

    got = await office.through(berlin(3, 10), berlin(5, 9))

    assert [(letter.to, letter.told) for letter in got] == [
        ("max", [("opened", "Ada")]),
        ("mia", [("handed_over", "Ada")]),
    ]


async def test_who_cannot_be_found_is_spoken_for_by_the_owner_of_the_crm(office: Office) -> None:
    await office.run("update person set email = null where user_id in ('mia', 'max')")
    await office.opens(berlin(3, 10), **NAMED)

    (letter,) = await office.through(berlin(3, 10), berlin(3, 11))

    assert (letter.to, letter.told) == ("crm@acme.example", [("opened", None)])
    assert "ada" not in str(letter.body).lower()


async def test_where_nobody_is_named_the_owner_hears_a_number_of_enough_people(pool: Pool) -> None:
    office = await furnish(pool, individual_visibility="off", min_group=5)
    await subscribe(office)
    await office.run(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing)
           values ('acme', 'north', 2, 6, 8, true, '{}')"""
    )
    for user in ("ada", "p00"):
        await office.opens(berlin(3, 10), user, **NAMED)
        await office.opens(berlin(3, 10), user, **NAMED, wave="tiny")

    # what the key of the subscription may not see interrupts nobody: it waits for the morning
    (letter,) = await office.through(berlin(3, 10), berlin(4, 9))

    assert letter.to == "crm@acme.example"
    assert [(line["people"], line["alert"]) for line in letter.body["lines"]] == [(2, None)]


async def test_a_channel_is_told_numbers_and_never_names(pool: Pool) -> None:
    office = await furnish(pool)
    await subscribe(office, "teams")
    for user in ("ada", "p00"):
        await office.opens(berlin(3, 10), user, **NAMED)

    (letter,) = await office.through(berlin(3, 10), berlin(3, 11))

    assert (letter.to, letter.told) == ("", [("opened", None)])
    assert letter.body["lines"][0]["people"] == 2


async def test_those_who_want_it_weekly_get_it_weekly(pool: Pool) -> None:
    office = await furnish(pool)
    await subscribe(office, digest="weekly")
    await office.opens(berlin(3, 10))

    (letter,) = await office.through(berlin(3, 10), berlin(9, 9))

    assert letter.at == berlin(9, 8)


async def test_an_escalated_alert_reaches_the_one_above_in_working_hours(office: Office) -> None:
    opened = await office.opens(berlin(3, 10))
    await office.through(berlin(3, 10), berlin(4, 9))
    above = [{"role": "manager"}, {"role": "manager_of_manager"}]
    await office.change("escalated", opened, berlin(5, 10), escalation=1, audience=above)

    (letter,) = await office.through(berlin(5, 10), berlin(6, 9))

    assert (letter.to, letter.told) == ("max", [("opened", "Ada")])
