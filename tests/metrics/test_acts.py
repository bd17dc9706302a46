"""What people add by single acts: records, meetings, features, tasks, workarounds."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrics.acts import counts
from services.metrics.shape import Act, Counts

WEEK = date(2026, 3, 2)
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def act(kind: str, at: datetime = MONDAY, origin: str = "ui", **more: Any) -> tuple[date, Act]:
    return at.date(), Act(at, kind, origin, **more)


def created(at: datetime = MONDAY, origin: str = "ui", **more: Any) -> tuple[date, Act]:
    return act("crm.record.created", at, origin, **{"object": "contact", **more})


def meeting(at: datetime = MONDAY) -> tuple[date, Act]:
    return act("meeting.held", at, "sync")


def told(*acts: tuple[date, Act], expected: bool = False) -> Counts:
    return counts(WEEK, acts, expected=expected)


def test_a_record_is_made_in_the_crm_or_imported_and_software_counts_in_neither() -> None:
    origins = ("ui", "mobile", "import", "sync", "automation", "api")
    found = told(*(created(origin=origin) for origin in origins), created(bulk=True))

    assert found == {"M16:contact@0": (2, 4), "M16u:contact@0": (0, 4)}


def test_of_unknown_origin_is_neither_but_makes_the_rate_doubtful() -> None:
    found = told(created(), created(origin="unknown"), created(origin="unknown", object="deal@north"))

    assert found == {
        "M16:contact@0": (1, 1),
        "M16u:contact@0": (1, 2),
        "M16u:deal%40north@0": (1, 1),
    }


@pytest.mark.parametrize(
    ("number", "step", "imported"),
    [
        pytest.param(200, 600 / 199, True, id="two hundred in exactly ten minutes"),
        pytest.param(199, 1, False, id="one less"),
        pytest.param(200, 600.1 / 199, False, id="a little slower"),
    ],
)
def test_two_hundred_records_of_a_kind_in_ten_minutes_are_an_import(
    number: int, step: float, *, imported: bool
) -> None:
    batch = [created(MONDAY + timedelta(seconds=step) * n) for n in range(number)]
    found = told(*batch, created(MONDAY + HOUR), *(created(MONDAY + MINUTE, object="deal") for _ in range(5)))

    assert found["M16:contact@0"] == (1 if imported else number + 1, number + 1)
    assert found["M16:deal@0"] == (5, 5)


def test_a_batch_that_began_before_the_week_is_one_all_the_same() -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    found = told(*(created(midnight + timedelta(seconds=n - 150)) for n in range(200)))

    assert found["M16:contact@0"] == (0, 50)


@pytest.mark.parametrize(("minutes", "shown"), [(-15, 1), (-15.1, 0), (0, 1), (75, 1), (75.1, 0)], ids=str)
def test_a_meeting_is_run_from_the_crm_when_a_report_is_seen_about_it(minutes: float, shown: int) -> None:
    assert told(meeting(), act("crm.report.viewed", MONDAY + MINUTE * minutes))["M19@0"] == (shown, 1)


@pytest.mark.parametrize(("hours", "taken"), [(24, 1), (24.01, 0), (0.01, 1), (0, 0)], ids=str)
def test_an_export_counts_in_the_day_before_the_meeting(hours: float, taken: int) -> None:
    found = told(meeting(MONDAY + DAY), act("crm.report.exported", MONDAY + DAY - HOUR * hours))

    assert found == {"M19@1": (0, 1), "M20@1": (taken, 1)}


def test_reports_that_software_or_a_sandbox_or_somebody_for_another_sees_show_nothing() -> None:
    others: list[dict[str, Any]] = [{"origin": "api"}, {"environment": "sandbox"}, {"behalf": "bo"}]

    assert told(meeting(), *(act("crm.report.viewed", **other) for other in others))["M19@0"] == (0, 1)


def test_a_feature_reaches_who_used_it_in_four_weeks_and_was_expected() -> None:
    used = [
        act("crm.feature.used", MONDAY - 21 * DAY, detail="kanban"),
        act("crm.feature.used", MONDAY - 22 * DAY, detail="old"),
        act("crm.feature.used", MONDAY + 7 * DAY, detail="later"),
        act("crm.feature.used", detail="kanban"),
        act("crm.feature.used"),
    ]

    assert told(*used, expected=True) == {"M21:kanban": (1, 0), "M24": (0, 1)}
    assert told(*used) == {}


@pytest.mark.parametrize(("minutes", "abandoned"), [(30, 0), (30.1, 1), (0, 0), (-1, 1)], ids=str)
def test_a_task_is_abandoned_after_half_an_hour(minutes: float, abandoned: int) -> None:
    found = told(
        act("crm.task.started", detail="quote"),
        act("crm.task.completed", MONDAY + MINUTE * minutes, detail="quote"),
        act("crm.task.completed", MONDAY + MINUTE, detail="another"),
    )

    assert found == {"M22:quote@0": (abandoned, 1), "M22e:quote@0": (0, 1)}


def test_one_completion_ends_one_start_and_failures_are_told_apart() -> None:
    found = told(
        act("crm.task.started", detail="quote"),
        act("crm.task.started", MONDAY + 5 * MINUTE, detail="quote"),
        act("crm.task.completed", MONDAY + 20 * MINUTE, detail="quote"),
        act("crm.task.failed", MONDAY + 6 * MINUTE, detail="quote"),
        act("crm.task.started", detail="given", automatic=True),
    )

    assert found == {"M22:quote@0": (1, 2), "M22e:quote@0": (1, 2)}


def test_a_task_over_midnight_belongs_to_the_day_it_was_started_on() -> None:
    late = datetime(2026, 3, 8, 23, 50, tzinfo=UTC)
    found = told(act("crm.task.started", late, detail="q"), act("crm.task.completed", late + 20 * MINUTE, detail="q"))

    assert found["M22:q@6"] == (0, 1)


@given(
    starts=st.lists(st.integers(0, 120), max_size=6),
    ends=st.lists(st.integers(0, 120), max_size=6),
)
def test_as_many_starts_are_completed_as_there_can_be(starts: list[int], ends: list[int]) -> None:
    acts = [act("crm.task.started", MONDAY + MINUTE * at, detail="q") for at in starts]
    acts += [act("crm.task.completed", MONDAY + MINUTE * at, detail="q") for at in ends]
    assert told(*acts).get("M22:q@0", (0, 0)) == (len(starts) - _most_pairs(starts, ends), len(starts))


def _most_pairs(starts: list[int], ends: list[int]) -> int:
    """Return how many pairs there are at most, by augmenting paths."""
    owner: dict[int, int] = {}

    def place(start: int, seen: set[int]) -> bool:
        for end in range(len(ends)):
            if starts[start] <= ends[end] <= starts[start] + 30 and end not in seen:
                seen.add(end)
                if end not in owner or place(owner[end], seen):
                    owner[end] = start
                    return True
        return False

    return sum(place(start, set()) for start in range(len(starts)))


def test_workarounds_are_counted_of_everybody_and_set_against_who_is_expected() -> None:
    reports = [act("workaround.reported", MONDAY + n * DAY, "sync") for n in range(-1, 8)]

    assert told(*reports) == {"M24": (7, 0)}
    assert told(*reports, expected=True) == {"M24": (7, 1)}
    assert told(expected=True) == {"M24": (0, 1)}


KINDS = ("crm.record.created", "meeting.held", "crm.report.viewed", "crm.report.exported", "crm.task.started")


@given(
    acts=st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(-20, 200), st.sampled_from(("ui", "api", "unknown"))), max_size=12
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_acts_changes_nothing(acts: list[tuple[str, int, str]], order: Any) -> None:
    made = [act(kind, MONDAY + HOUR * hours, origin, object="deal", detail="q") for kind, hours, origin in acts]
    mixed = list(made)
    order.shuffle(mixed)

    found = told(*made, expected=True)
    assert told(*mixed, expected=True) == found
    for metric, kind in (("M19@", "meeting.held"), ("M16u:deal@", "crm.record.created")):
        days = Counter(day for day, it in made if it.kind == kind and (kind == "meeting.held" or it.origin != "api"))
        total = sum(number for day, number in days.items() if WEEK <= day < WEEK + 7 * DAY)
        assert sum(den for code, (_, den) in found.items() if code.startswith(metric)) == total
