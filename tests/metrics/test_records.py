"""What a record adds to a week: each number, and where it begins and ends."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.metrics.histories import Timeline
from services.metrics.records import Meeting, Owner, People, holder_at
from services.metrics.shape import Contribution, Groups
from tests.metrics.deals import (
    DAY,
    END,
    HOUR,
    NORTH,
    PEOPLE,
    POLICIES,
    POLICY,
    SOUTH,
    START,
    WEEK,
    change,
    contribution,
    count,
    made,
    owners,
)

LATER = WEEK + 7 * DAY


def test_a_field_is_wanted_only_from_its_stage_on() -> None:
    new = made(fields="amount")

    assert count("M25", new) == (1, 1)
    assert count("M25", new, change("stage_changed", stage="proposal")) == (1, 2)
    assert count("M25", new, change(stage="Negotiation", fields="budget")) == (2, 2)
    assert count("M25", new, change(stage="A stage that stands nowhere")) == (1, 1)
    assert count("M25", new, change(stage="Closed Lost")) == (1, 2)
    assert count("M25", new, change(stage="Closed Won")) == (1, 3)


def test_a_lost_deal_owes_what_its_last_stage_asked_for() -> None:
    deal = [made(fields="amount"), change(stage="Proposal"), change(stage="lost", fields="lossreason")]

    assert count("M25", *deal) == (2, 3)


def test_one_of_the_names_of_a_field_is_enough() -> None:
    deal = [made(fields="amount", stage="Proposal"), change(fields={"budget": "filled", "budget__c": "empty"})]

    assert count("M25", *deal) == (2, 2)


def test_a_placeholder_or_a_default_is_no_answer_and_is_told_apart() -> None:
    deal = made(stage="Proposal", fields={"amount": "placeholder", "budget": "default"})

    assert (count("M25", deal), count("M26", deal)) == ((0, 2), (2, 2))
    assert count("M26", made(fields="amount"), change(fields={"budget": "placeholder"})) == (0, 1)
    assert count("M26", made(fields={"amount": "empty"})) is None


def test_a_field_that_was_never_told_is_empty_where_the_creation_was_seen_and_else_unknown() -> None:
    assert count("M25", made(fields="nextstep")) == (0, 1)
    assert count("M25", change(owner="ada", fields="nextstep")) is None
    assert count("M25", change(owner="ada", stage="Proposal", fields={"amount": "empty"})) == (0, 1)


@pytest.mark.parametrize(
    ("closed", "counted"),
    [(START - timedelta(microseconds=1), False), (START, True), (END - HOUR, True)],
    ids=["more than seven days before the end", "exactly seven", "just now"],
)
def test_a_closed_record_counts_for_seven_days(closed: datetime, *, counted: bool) -> None:
    deal = [made(START - 30 * DAY, fields="amount"), change(at=closed, stage="Closed Lost")]

    found = contribution(deal)
    assert (found is not None and "M25" in found.counts) is counted
    assert found is None or not {"M18", "M27", "M28", "M31"} & found.counts.keys()


def test_a_deal_that_is_opened_again_counts_on() -> None:
    deal = [made(START - 30 * DAY, stage="Proposal"), change(at=START - 20 * DAY, stage="lost")]

    assert contribution(deal) is None
    assert count("M25", *deal, change(at=START - DAY, stage="open")) == (0, 2)


def test_a_deleted_record_is_gone_until_it_is_restored() -> None:
    deal = [made(START - 30 * DAY, fields="amount"), change("deleted", START)]

    assert contribution(deal) is None
    assert contribution(deal, week=WEEK - 7 * DAY) is not None
    assert count("M25", *deal, change(at=START + HOUR, fields="nextstep")) == (1, 1)


@pytest.mark.parametrize(
    ("day", "stale"), [(date(2026, 3, 7), 1), (date(2026, 3, 8), 0), (date(2026, 3, 9), 0)], ids=str
)
def test_a_close_date_is_stale_when_it_lies_before_the_last_day_of_the_week(day: date, stale: int) -> None:
    assert count("M27", made(close_date=day)) == (stale, 1)


def test_today_is_that_of_the_owner() -> None:
    deal = made(close_date=date(2026, 3, 8))

    assert count("M27", deal, people=owners(ZoneInfo("Pacific/Auckland"))) == (1, 1)
    assert count("M27", deal, people=owners(ZoneInfo("America/Lima"))) == (0, 1)
    assert count("M27", deal, week_end=START + DAY) == (0, 1)


def test_a_close_date_that_was_taken_away_is_none() -> None:
    gone = [made(close_date=date(2026, 3, 1)), change(at=START + HOUR, fields={"closedate": "empty"})]

    assert count("M27", *gone) is None
    assert count("M27", made()) is None
    assert count("M27", *gone, change(at=START + DAY, fields="closedate", close_date=date(2026, 5, 1))) == (0, 1)


@pytest.mark.parametrize(
    ("at", "state", "current"),
    [
        (END - 14 * DAY, "filled", 1),
        (END - 14 * DAY - HOUR, "filled", 0),
        (END - DAY, "placeholder", 0),
        (END - DAY, "empty", 0),
    ],
)
def test_a_next_step_is_current_for_fourteen_days(at: datetime, state: str, current: int) -> None:
    assert count("M28", made(END - 30 * DAY), change(at=at, fields={"nextdate": state})) == (current, 1)


def test_to_see_a_next_step_does_not_make_it_current() -> None:
    assert count("M28", made(END - 30 * DAY, fields="nextstep"), change("viewed", END - DAY, fields="nextstep")) == (
        0,
        1,
    )
    assert count("M28", change("viewed", END - DAY, owner="ada", fields="nextstep")) == (0, 1)
    assert count("M28", change(owner="ada", fields="amount")) is None


def test_promised_deals_need_evidence() -> None:
    promised = made(forecast="commit ")

    assert count("M32", made(forecast="Pipeline")) is None
    assert count("M32", promised) == (0, 1)
    assert count("M32", promised, change(fields="champion")) == (1, 1)
    assert count("M32", made(stage="Negotiation", fields={"champion": "placeholder"})) == (0, 1)
    assert count("M32", change(owner="ada", forecast="Commit")) is None


def test_a_deal_is_ready_for_its_review_when_nothing_is_missing() -> None:
    ready = [made(END - DAY, fields="amount nextstep champion", close_date=date(2026, 5, 1))]

    assert count("M31", *ready) == (1, 1)
    assert count("M31", *ready, change(at=END - HOUR, stage="Proposal")) == (0, 1)
    assert count("M31", *ready, change(at=END - HOUR, close_date=date(2026, 3, 1))) == (0, 1)
    assert count("M31", *ready, change(at=END - HOUR, fields={"nextstep": "empty"})) == (0, 1)
    assert count("M31", *ready, change(at=END - HOUR, forecast="commit", fields={"champion": "empty"})) == (0, 1)
    assert count("M31", made(END - DAY), policy=POLICIES["contact"]) is None


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (change("viewed", END - 14 * DAY, "bo"), 1),
        (change("viewed", END - 14 * DAY - HOUR, "bo"), 0),
        (change("stage_changed", END - DAY, "bo"), 1),
        (change("viewed", END - DAY, "bo", origin="api"), 0),
        (change("viewed", END - DAY, "eve"), 0),
        (change("viewed", END - DAY), 0),
    ],
)
def test_a_manager_inspects_by_looking_in_fourteen_days(look: object, seen: int) -> None:
    assert count("M18", made(START - 30 * DAY), look) == (seen, 1)  # type: ignore[arg-type]


def test_without_a_manager_who_is_there_nobody_inspects() -> None:
    alone = People(lambda name: name, lambda _, __: Owner(NORTH))

    assert count("M18", made(), people=alone) is None


REVIEW = Meeting(START + 3 * DAY, "bo")


@pytest.mark.parametrize(
    ("word", "fresh"),
    [
        (change(at=REVIEW.at - 7 * DAY, fields="amount"), 1),
        (change(at=REVIEW.at - 7 * DAY - HOUR, fields="amount"), 0),
        (change(at=REVIEW.at, fields="amount"), 0),
        (change(at=REVIEW.at - HOUR, user="ada-crm", fields="budget"), 1),
        (change("stage_changed", REVIEW.at - HOUR, stage="Proposal"), 1),
        (change(at=REVIEW.at - HOUR), 1),
        (change(at=REVIEW.at - HOUR, fields="description"), 0),
        (change("viewed", REVIEW.at - HOUR), 0),
        (change(at=REVIEW.at - HOUR, user="bo", fields="amount"), 0),
        (change(at=REVIEW.at - HOUR, origin="sync", fields="amount"), 0),
    ],
)
def test_an_owner_brings_a_deal_up_to_date_before_the_review(word: object, fresh: int) -> None:
    assert count("M17", made(START - 30 * DAY), word, meetings=[REVIEW]) == (fresh, 1)  # type: ignore[arg-type]


def test_a_review_is_held_by_the_manager_or_in_the_team() -> None:
    deal = made(START - DAY, fields="amount")
    reviews = [
        REVIEW,
        Meeting(START + DAY, "eve", "north"),
        Meeting(START + DAY, "eve", "south"),
        Meeting(START, "eve"),
    ]

    assert count("M17", deal, meetings=reviews) == (2, 2)
    assert count("M17", deal) is None
    assert count("M17", deal, change(at=START, stage="won"), meetings=[REVIEW]) is None
    assert count("M17", made(REVIEW.at), meetings=[REVIEW]) is None


def test_a_deal_is_handed_over_when_all_fields_stand_two_working_days_after_it_was_won() -> None:
    won = [made(START - DAY), change(at=START + 4 * DAY + HOUR, stage="Closed Won")]  # on a Friday: due on Tuesday
    in_time = change(at=END + 2 * DAY - HOUR, fields="contact goals")
    too_late = change(at=END + 2 * DAY, fields="contact goals")

    assert count("M29@4", *won, in_time) == (1, 1)
    assert count("M29@4", *won, too_late) == (0, 1)
    assert count("M29@4", *won, change(at=END, fields="contact")) == (0, 1)
    assert contribution([*won, in_time], week=LATER) is None


def test_a_won_deal_that_is_opened_again_or_deleted_was_not_handed_over() -> None:
    won = [made(START - DAY), change(at=START, stage="won", fields="contact goals")]

    assert count("M29@0", *won) == (1, 1)
    assert count("M29@0", *won, change(at=START + DAY, stage="Proposal")) is None
    assert count("M29@0", *won, change("deleted", START + DAY)) is None
    assert count("M29@0", *won, change(at=START + HOUR, stage="Closed Won")) == (1, 1)
    assert count("M29@0", *won, change(at=START + DAY, stage="open"), change(at=START + 2 * DAY, stage="won")) is None


def test_what_is_unknown_of_a_handover_is_not_held_against_it() -> None:
    won = change(at=START, owner="ada", stage="won", fields="contact")

    assert count("M29@0", won) is None
    assert count("M29@0", won, change(at=START, fields={"goals": "empty"})) == (0, 1)


def test_a_handover_is_read_when_somebody_who_takes_over_looks_in_five_working_days() -> None:
    won = [made(START - DAY), change(at=START, stage="won")]

    assert count("M29r@0", *won) == (0, 1)
    assert count("M29r@0", *won, change("viewed", END - HOUR, "cy")) == (1, 1)
    assert count("M29r@0", *won, change("viewed", END + DAY, "cy")) == (0, 1)
    assert count("M29r@0", *won, change("viewed", START + DAY, "bo")) == (0, 1)
    assert count("M29r@0", *won, change("viewed", START - HOUR, "cy")) == (0, 1)


def test_who_works_no_day_is_not_waited_for_for_ever() -> None:
    never = People(lambda name: name, lambda _, __: Owner(NORTH, works=lambda _: False))
    won = [made(START - DAY), change(at=START, stage="won")]

    assert count("M29@0", *won, change(at=START + 20 * DAY, fields="contact goals"), people=never) == (1, 1)


@pytest.mark.parametrize(
    ("merged", "duplicate"), [(14 * DAY, 1), (14 * DAY + timedelta(seconds=1), 0), (HOUR, 1)], ids=str
)
def test_a_record_is_a_duplicate_when_it_is_merged_within_fourteen_days(merged: timedelta, duplicate: int) -> None:
    deal = [made(START + DAY), change("merged", START + DAY + merged)]

    assert count("M30@1", *deal) == (duplicate, 1)
    assert count("M30@1", *deal, policy=POLICIES["contact"]) == (duplicate, 1)
    assert count("M30@1", *deal, week=LATER) is None


def test_a_record_belongs_to_whoever_owned_it_then() -> None:
    deal = [made(START), change(at=START + DAY, owner="eve", stage="won")]

    found = contribution(deal)
    assert found is not None
    assert (found.groups, found.moves) == (SOUTH, {0: NORTH})
    assert found.counts["M30@0"] == (0, 1)
    assert contribution(deal[:1], week_end=START + HOUR) == Contribution(
        NORTH, {"M25": (0, 1), "M28": (0, 1), "M31": (0, 1), "M18": (0, 1), "M30@0": (0, 1)}
    )


def test_the_day_of_the_owner_decides_about_the_week() -> None:
    people = owners(ZoneInfo("America/Lima"))

    assert count("M30@6", made(END + HOUR), week_end=END + 5 * HOUR, people=people) == (0, 1)
    assert count("M30@0", made(END + HOUR), week=LATER, people=people) is None


def test_records_of_nobody_count_nowhere_and_are_not_forgotten() -> None:
    for name in ("nobody", "stranger"):
        assert contribution([made(owner=name)]) == Contribution(Groups(), {})
    assert contribution([change("viewed")]) == Contribution(Groups(), {})
    assert contribution([change(owner="stranger", stage="won")]) is None
    assert contribution([made(END)]) is None
    assert contribution([]) is None


def test_of_what_is_no_deal_nothing_is_kept_but_numbers() -> None:
    contact, note = POLICIES["contact"], POLICIES["note"]

    assert contribution([change(owner="ada", fields="phone")], policy=contact) is None
    assert contribution([change(owner="stranger")], policy=contact) == Contribution(Groups(), {})
    assert count("M25", change(owner="ada", fields="email"), policy=contact) == (1, 1)
    assert contribution([made(START - 30 * DAY)], policy=note) is None
    assert contribution([made()], policy=note) == Contribution(NORTH, {"M30@0": (0, 1)})


def test_records_are_known_by_what_the_crm_calls_them() -> None:
    assert POLICIES["Opportunity"] is POLICIES["deal"]


def test_whoever_made_a_record_has_it_until_somebody_owns_it() -> None:
    first = [change("created", START, "ada-crm")]

    assert holder_at(Timeline(first, POLICY), END, PEOPLE) == "ada"
    assert holder_at(Timeline([*first, change(owner="eve")], POLICY), END, PEOPLE) == "eve"
    assert holder_at(Timeline([*first, change(owner="nobody")], POLICY), END, PEOPLE) == "nobody"
    assert holder_at(Timeline([], POLICY), END, PEOPLE) is None
