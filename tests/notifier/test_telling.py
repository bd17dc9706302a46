from typing import Any

import pytest

from schemas.alerts import item
from schemas.subscriptions import CLOSING, OPENING, QUIET, Filter, filter_of
from services.notifier.domain.shape import Change, message_id
from services.notifier.domain.telling import worth_telling
from tests.builders import NOON
from tests.notifier.desk import alert


def _change(kind: str, seq: int = 1, **columns: Any) -> Change:
    body = item(alert("a1", **columns))
    return Change(
        seq=seq, alert="a1", kind=kind, state=body["state"], actor="evaluator", as_of=NOON, at=NOON, body=body
    )


def _told(filter_: Filter, *changes: Change, before: frozenset[str] = frozenset()) -> list[str]:
    return [change.kind for change in worth_telling(filter_, changes, before)]


@pytest.mark.parametrize("kind", OPENING)
def test_what_calls_for_somebody_is_told(kind: str) -> None:
    assert _told(Filter(), _change(kind)) == [kind]


@pytest.mark.parametrize("kind", QUIET)
def test_what_calls_for_nobody_is_told_to_who_asks_for_it(kind: str) -> None:
    assert _told(Filter(), _change(kind)) == []
    assert _told(filter_of({"kinds": [kind]}), _change(kind)) == [kind]


@pytest.mark.parametrize("kind", CLOSING)
def test_who_was_told_the_open_is_told_the_end_and_nobody_else(kind: str) -> None:
    end = _change(kind, 2, severity="info")

    assert _told(Filter(), end) == []
    assert _told(filter_of({"severities": ["critical"]}), end, before=frozenset({"a1"})) == [kind]
    assert _told(Filter(), _change("opened"), end) == ["opened", kind]


def test_what_another_alert_speaks_for_is_told_when_that_is_over() -> None:
    assert _told(Filter(), _change("opened", suppressed_by="a0"), _change("resolved", 2)) == []
    assert _told(Filter(), _change("opened", suppressed_by="a0"), _change("released", 2)) == ["released"]


@pytest.mark.parametrize(
    ("filter_", "taken"),
    [
        ({"rules": ["adoption-drop-vs-week1"]}, True),
        ({"rules": ["source-silent"]}, False),
        ({"severities": ["warning", "critical"]}, True),
        ({"severities": ["critical"]}, False),
        ({"tiers": ["suspected"]}, False),
        ({"subject_kinds": ["team"], "teams": ["North"]}, True),
        ({"teams": ["South"]}, False),
        ({"subject_kinds": ["user"]}, False),
    ],
)
def test_a_filter_takes_what_fits_all_that_it_names(filter_: dict[str, Any], *, taken: bool) -> None:
    assert bool(_told(filter_of(filter_), _change("opened"))) is taken


def test_a_message_has_the_same_id_whoever_plans_it_and_no_other_has_it() -> None:
    ids = [
        message_id("acme", "s", "", "change", ["a1"], [7]),
        message_id("acme", "s", "", "change", ["a1"], [8]),
        message_id("acme", "s2", "", "change", ["a1"], [7]),
        message_id("other", "s", "", "change", ["a1"], [7]),
        message_id("acme", "s", "ada", "change", ["a1"], [7]),
    ]

    assert len(set(ids)) == len(ids)
    assert message_id("acme", "s", "", "change", ["a1"], [7]) == ids[0]
