"""The load of a backtest: its weeks are those in which something opens where the tenant is."""

from datetime import date, timedelta
from typing import Any

from services.api.backtest_load import Stage
from services.hearing.looking import Staff
from services.hearing.store import House
from services.rules.load import Days
from services.sight import Sight
from tests.notifier.telling import MONDAY, company

MADRID = House("acme", "Acme", "Europe/Madrid", range(1, 6), (), 1, "manager", 5)


def episode(**given: Any) -> dict[str, Any]:
    """An alert that is for nobody there is, opened at midnight of a Monday in Madrid."""
    names = ("tier", "suppressed_by", "wave", "resolution", "closed_at", "closed_on")
    told = {"id": "a", "rule": "own", "severity": "critical", "title": "", "action": "", "evidence": {}, "audience": []}
    at = {"opened_at": "2026-03-01T23:00:00Z", "told_at": "2026-03-01T23:00:00Z", "opened_on": "2026-03-02"}
    return {**dict.fromkeys(names), **told, **at, "subject": {"kind": "tenant", "key": "all"}, **given}


def test_what_reaches_nobody_is_counted_in_the_week_in_which_it_opens() -> None:
    stage = Stage(Staff(MADRID, company(), {}), Sight(individuals=True), Days(), MONDAY + timedelta(days=30))

    [at_once] = stage.load([episode()])
    [late] = stage.load([episode(told_at="2026-03-20T10:00:00Z")])

    assert (at_once["week"], at_once["opens"], at_once["unheard"]) == (date(2026, 3, 2), 1, 1)
    assert (late["week"], late["opens"], late["unheard"]) == (date(2026, 3, 2), 1, 1)
