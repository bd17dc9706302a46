"""The drop against the weeks before: the guard of the drop against week 1, and a composition that adds up."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.findings import Finding, Outcome
from services.aggregator.domain.rules.drop import Guard, SamePeople, Share, Step, walk
from services.aggregator.domain.rules.trailing import doubtful, judge_trailing, same
from services.metrics.compare import People, Side, Standing, people
from services.rules.pack import DEFAULT
from tests.aggregator.groups import group, shares, weeks
from tests.aggregator.world import MONDAY

RULE = DEFAULT["adoption-drop-trailing"]
NOBODY = Side()


def behind(lost: int, gained: int, kept: int = 60, idle: int = 20) -> People:
    return People(kept, lost, gained, idle, NOBODY, NOBODY, NOBODY, NOBODY)


def play(active: list[int | None], lost: int, gained: int) -> list[Finding]:
    it, time = group({"M11": shares(*active)}), weeks(len(active))
    found = {pair: behind(lost, gained) for pair in doubtful(RULE, it, time)}
    return list(judge_trailing(RULE, it, time, found).findings)


@pytest.mark.parametrize(
    ("active", "lost", "gained", "tier"),
    [
        pytest.param([80, 80, 80, 80, 72, 72], 8, 0, "confirmed", id="exactly 10 %, the same people, two weeks"),
        pytest.param([80, 80, 80, 80, 73, 73], 7, 0, None, id="9 % is none"),
        pytest.param([80, 80, 80, 80, 72], 8, 0, None, id="one week is chance"),
        pytest.param([80, 80, 80, 80, 60], 20, 0, "confirmed", id="a quarter at once needs no second week"),
        pytest.param([80, 80, 80, 80, 72, 72], 20, 18, "suspected", id="people both ways"),
        pytest.param([80, 80, 80, 80, 72, 72], 9, 8, None, id="a net loss of one"),
        pytest.param([80, 80, 80, 72, 72], 8, 0, None, id="three weeks are no base"),
        pytest.param([80, 80, 80, 80, None, 72, 72], 8, 0, "confirmed", id="a week that is not known is no base"),
    ],
)
def test_a_drop_against_the_weeks_before(active: list[int | None], lost: int, gained: int, tier: str | None) -> None:
    found = play(active, lost, gained)

    assert [finding.tier for finding in found] == ([] if tier is None else [tier])


def test_the_base_is_a_real_week_and_the_window_says_what_it_was() -> None:
    it, time = group({"M11": shares(70, 90, 80, 60, 50, 50)}), weeks(6)
    found = {pair: behind(20, 0) for pair in doubtful(RULE, it, time)}
    judged = judge_trailing(RULE, it, time, found)

    [finding] = judged.findings
    assert finding.evidence["opened_in"] == time.last_day(4)
    assert [line.outcome for line in judged.evaluations[:4]] == [Outcome.NOT_JUDGED] * 4
    assert {line.reason for line in judged.evaluations[:4]} == {"missing_baseline"}
    assert judged.evaluations[4].baseline == {"num": 70, "den": 100, "value": Fraction(7, 10), "week": MONDAY}
    assert judged.evaluations[4].fingerprint == finding.fingerprint


standing = st.sampled_from(
    [Standing(), Standing(here=True), Standing(here=True, hit=True), Standing(elsewhere=True, hit=True)]
)


@given(pairs=st.lists(st.tuples(standing, standing, st.integers(1, 9)), max_size=12))
def test_what_people_became_adds_up_to_the_change(pairs: list[tuple[Standing, Standing, int]]) -> None:
    found = people(pairs)
    told = same(found).composition(Share(*found.base), Share(*found.now))

    assert told["other"] == 0
    assert found.now[0] - found.base[0] == (
        told["gained"] - told["lost"] + told["joiners_active"] - told["leavers_active"]
    )
    assert found.now[1] - found.base[1] == told["joiners"] - told["leavers"]


counts = st.tuples(st.integers(0, 30), st.integers(0, 40)).map(lambda pair: Share(min(pair), max(pair)))
steps_of = st.lists(st.tuples(counts, st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=10)


@settings(max_examples=200)
@given(told=steps_of, base=counts)
def test_the_walk_equals_its_definition(told: list[tuple[Share, int, int, bool]], base: Share) -> None:
    """An episode begins with two lossy weeks in a row or a collapse, and ends with the second calm week in a row."""
    steps = [
        Step(n, base, now, base.num, SamePeople(20, lost, gained, 0, 0), "source_silent" if unknown else None)
        for n, (now, lost, gained, unknown) in enumerate(told)
    ]
    guard = Guard()
    opened: int | None = None
    found: list[tuple[int, int | None]] = []
    calm = 0
    for n, step in enumerate(steps):
        if step.reason:
            continue
        if opened is None:
            before = steps[n - 1] if n else None
            lasting = guard.lossy(step) and before is not None and before.reason is None and guard.lossy(before)
            if lasting or guard.tier(step, lossy=0, sure=0) is not None:
                opened, calm = n, 0
            continue
        calm = calm + 1 if guard.calm(step.base, step.now) else 0
        if calm == guard.calm_windows:
            found.append((opened, n))
            opened = None
    if opened is not None:
        found.append((opened, None))

    assert [(course.opened, course.closed) for course in walk(guard, steps).courses] == found
