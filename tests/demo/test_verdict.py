"""The comparison with the story says found only for the same rule, subject and tier."""

from typing import Any

import pytest

from services.demo.verdict import compare, counts
from services.simulator import Known

DROP = Known("adoption-drop-vs-week1", "team", "North", "confirmed", "four people stop")


def alert(**changed: Any) -> dict[str, Any]:
    told = {"rule": DROP.rule, "subject": {"kind": "team", "key": "North"}, "tier": "confirmed", "resolution": None}
    return {**told, **changed}


def test_an_alert_of_the_same_rule_subject_and_tier_is_found() -> None:
    verdict = compare([DROP], [alert()])

    assert (verdict.found, verdict.missed, verdict.unexpected) == ([DROP], [], [])
    assert verdict.complete


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(alert(tier="suspected"), id="of another tier"),
        pytest.param(alert(subject={"kind": "team", "key": "South"}), id="about another team"),
        pytest.param(alert(rule="adoption-drop-trailing"), id="of another rule"),
    ],
)
def test_another_alert_is_unexpected_and_the_known_one_is_missed(other: dict[str, Any]) -> None:
    verdict = compare([DROP], [other])

    assert (verdict.found, verdict.missed, verdict.unexpected) == ([], [DROP], [other])
    assert not verdict.complete


def test_a_second_episode_is_unexpected() -> None:
    verdict = compare([DROP], [alert(), alert(episode=2)])

    assert len(verdict.found) == len(verdict.unexpected) == 1


def test_what_was_taken_back_is_neither_found_nor_unexpected_nor_counted() -> None:
    withdrawn = alert(resolution="restated")
    verdict = compare([DROP], [withdrawn])

    assert (verdict.missed, verdict.unexpected, verdict.taken_back) == ([DROP], [], [withdrawn])
    assert counts([withdrawn, alert()]) == {DROP.rule: 1}
