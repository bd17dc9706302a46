"""How far a group has come: gates, never an average."""

from datetime import date

import pytest

from services.metrics.levels import (
    TARGETS,
    Facts,
    Measure,
    Phase,
    judge,
    months_at_target,
    phase_of,
)

GO_LIVE = date(2026, 3, 2)
LAUNCHED = date(2026, 3, 16)
UNKNOWN = Measure(None, "missing_meetings")


def share(percent: int) -> Measure:
    return Measure((percent, 100))


def facts(phase: Phase, *shares: Measure, **more: object) -> Facts:
    assert len(shares) == len(TARGETS[phase])
    given: dict[str, object] = {"expected": share(100), "min_group": 5, **more}
    return Facts(phase=phase, measures=shares, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "phase"),
    [
        (date(2026, 3, 1), "preparation"),
        (date(2026, 3, 2), "launch"),
        (date(2026, 3, 16), "launch"),
        (date(2026, 3, 17), "stabilization-1"),
        (date(2026, 4, 1), "stabilization-1"),
        (date(2026, 4, 2), "stabilization-2"),
        (date(2026, 6, 1), "stabilization-2"),
        (date(2026, 6, 2), "maturity"),
        (date(2026, 9, 1), "maturity"),
        (date(2026, 9, 2), "excellence"),
        (date(2027, 3, 1), "excellence"),
        (date(2027, 3, 2), "run"),
    ],
)
def test_the_phase_follows_the_go_live_by_calendar_months(day: date, phase: str) -> None:
    assert phase_of(day, GO_LIVE, LAUNCHED) == phase


def test_a_group_without_a_go_live_runs() -> None:
    assert phase_of(GO_LIVE, None, None) == "run"


def test_much_access_and_poor_data_is_superficial_and_level_one() -> None:
    """Month 3: 95 % access and 60 % data quality is never "95 % adopted"."""
    behind = judge(facts("stabilization-2", share(95), UNKNOWN, UNKNOWN, share(60), quality=share(60)))

    assert (behind.level, behind.verdict, behind.governing_layer) == (1, "superficial", "data_quality")
    assert [gate.passed for gate in behind.gates] == [True, None, None, False]
    assert behind.question == "Which fields are asked for before the answer can be known, and who reads them?"


@pytest.mark.parametrize(
    ("shares", "more", "level", "verdict"),
    [
        pytest.param((84, 99, 99, 99), {}, 0, "not-reached", id="one short of the daily target"),
        pytest.param((85, 79, 99, 99), {}, 1, "visiting", id="works elsewhere"),
        pytest.param((85, 80, 79, 99), {}, 1, "visiting", id="one habit of two"),
        pytest.param((85, 80, 80, 69), {"quality": share(69)}, 2, "superficial", id="poor data"),
        pytest.param((85, 80, 80, 70), {"quality": share(70)}, 2, "compliant", id="exactly 70 is not under 70"),
        pytest.param((85, 80, 80, 80), {"placeholders": share(15)}, 3, "fake", id="complete with placeholders"),
        pytest.param((85, 80, 80, 80), {"placeholders": share(14)}, 3, "adopted", id="exactly at every target"),
        pytest.param(
            (84, 80, 80, 80), {"was_reached": True, "falling": True}, 0, "drifting", id="was there, and falls"
        ),
        pytest.param((84, 80, 80, 80), {"was_reached": True}, 0, "not-reached", id="was there, but does not fall"),
    ],
)
def test_the_first_gate_that_is_not_passed_decides(
    shares: tuple[int, ...], more: dict[str, object], level: int, verdict: str
) -> None:
    found = judge(facts("stabilization-2", *map(share, shares), **more))

    assert (found.level, found.verdict) == (level, verdict)


def test_what_is_not_known_passes_nothing() -> None:
    quality = judge(facts("maturity", share(95), share(90), UNKNOWN, UNKNOWN))
    access = judge(facts("maturity", Measure(None, "source_silent"), share(90), share(90), share(90)))

    assert (quality.level, quality.verdict) == (2, "compliant")
    assert (access.level, access.verdict, access.reason) == (0, "unknown", "source_silent")


def test_in_the_launch_only_access_is_judged() -> None:
    good = judge(facts("launch", share(80), share(70), UNKNOWN, quality=share(10)))
    bad = judge(facts("launch", share(80), share(69), UNKNOWN))

    assert (good.level, good.verdict, good.governing_layer) == (1, "compliant", "access")
    assert (bad.level, bad.verdict) == (0, "not-reached")


@pytest.mark.parametrize(
    ("expected", "verdict", "reason"),
    [
        (Measure((3, 4)), "too-small", "insufficient_sample"),
        (Measure(None, "suppressed"), "too-small", "suppressed"),
        (Measure(None, "source_silent"), "unknown", "source_silent"),
        (Measure(None, "no_expected_people"), "unknown", "no_expected_people"),
    ],
)
def test_a_group_that_cannot_be_judged_is_not(expected: Measure, verdict: str, reason: str) -> None:
    found = judge(facts("maturity", share(99), share(99), share(99), share(99), expected=expected))

    assert (found.level, found.verdict, found.reason) == (0, verdict, reason)


def test_before_the_go_live_there_is_no_verdict() -> None:
    found = judge(facts("preparation", UNKNOWN))

    assert (found.level, found.verdict, found.question, found.governing_layer) == (0, None, None, "readiness")


def test_the_fourth_level_needs_an_outcome() -> None:
    without = judge(facts("run", share(95), share(90), share(90), share(90), Measure(None, "missing_outcome")))
    flat = judge(facts("run", share(95), share(90), share(90), share(90), Measure((-1, 100))))
    gain = judge(facts("run", share(95), share(90), share(90), share(90), Measure((1, 100))))

    assert [(found.level, found.verdict) for found in (without, flat, gain)] == [
        (3, "adopted"),
        (3, "compliant"),
        (4, "adopted"),
    ]


def test_months_at_target_are_those_in_a_row_up_to_the_last() -> None:
    assert months_at_target([(95, 100), (9, 10), (90, 100)]) == 3
    assert months_at_target([(95, 100), (89, 100), (90, 100)]) == 1
    assert months_at_target([(95, 100), None]) == 0
    assert months_at_target([]) == 0
