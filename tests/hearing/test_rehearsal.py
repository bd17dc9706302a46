"""A rehearsal: what people would have got, counted by hand."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from services.hearing.audience import EMERGENCY
from services.hearing.rehearsal import Bounds, Load, Turn, rehearse, turns, unheard
from services.hearing.shape import Alert
from tests.notifier.telling import HOUSE, MONDAY, alert, company

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINE = Load(MONDAY.date(), "mia", "manager")
"""MONDAY is at eleven o'clock in the working hours of everybody."""


def got(happening: Iterable[Turn], until: datetime = MONDAY + 6 * DAY) -> dict[str, dict[str, int]]:
    """Return what mia got, week by week."""
    found = rehearse(happening, company(), lambda _: HOUSE, Bounds(), until)
    return {str(share.week): dict(counts) for share, counts in found.items() if share.recipient == "mia"}


def opened(name: str, after: timedelta, severity: str = "critical", **given: object) -> list[Turn]:
    at = MONDAY + after
    made: Alert = alert(name, severity=severity, opened_at=at, **given)
    return list(turns(made, at))


def test_three_messages_a_day_interrupt_and_the_rest_waits_for_the_morning() -> None:
    happening = [turn for n in range(5) for turn in opened(f"a{n}", n * HOUR)]

    assert got(happening) == {"2026-03-02": {"in_hours": 3, "over_budget": 2, "digests": 1, "alerts": 5}}


def test_ten_messages_a_week_interrupt() -> None:
    happening = [turn for n in range(15) for turn in opened(f"a{n}", n % 3 * HOUR + n // 3 * DAY)]

    found = got(happening, MONDAY + 9 * DAY)

    assert found["2026-03-02"] == {"in_hours": 10, "over_budget": 5, "digests": 1, "alerts": 12}
    assert found["2026-03-09"] == {"digests": 1, "alerts": 3}


def test_what_happens_together_is_one_message() -> None:
    happening = [turn for n in range(12) for turn in opened(f"a{n}", n * timedelta(seconds=5))]

    assert got(happening) == {"2026-03-02": {"in_hours": 1, "alerts": 12}}


def test_an_emergency_comes_at_night_and_is_not_counted() -> None:
    night = 12 * HOUR
    happening = [*opened("a", night, "emergency"), *opened("b", night + HOUR)]

    assert got(happening) == {"2026-03-02": {"at_once": 1, "outside_hours": 1, "digests": 1, "alerts": 2}}


def test_a_warning_waits_for_the_morning_and_news_for_the_week() -> None:
    happening = [*opened("a", HOUR, "warning"), *opened("b", HOUR, "info")]

    found = got(happening, MONDAY + 8 * DAY)

    assert found == {"2026-03-02": {"digests": 1, "alerts": 1}, "2026-03-09": {"digests": 1, "alerts": 1}}


def test_what_is_over_before_the_morning_is_never_told_and_what_was_told_is_told_to_end() -> None:
    brief = opened("a", HOUR, "warning", state="resolved", resolved_at=MONDAY + 2 * HOUR, resolution="connected")
    told = opened("b", HOUR, state="resolved", resolved_at=MONDAY + 2 * HOUR, resolution="connected")
    silenced = opened("c", HOUR, suppressed_by="p")

    assert got(brief) == got(silenced) == {}
    assert got(told) == {"2026-03-02": {"in_hours": 1, "digests": 1, "alerts": 1}}


def test_while_the_wave_is_an_emergency_the_sponsor_is_spared_its_people() -> None:
    audience = [{"role": "manager"}, {"role": "sponsor", "person": "sam"}]
    person = replace(alert("a", severity="critical", opened_at=MONDAY), audience=audience)
    wave = alert("w", rule=EMERGENCY, severity="emergency", subject_kind="wave", subject_key="north")
    alone = rehearse(turns(person, MONDAY), company(), lambda _: HOUSE, Bounds(), MONDAY + DAY)
    both = [*turns(wave, MONDAY - HOUR), *turns(person, MONDAY)]

    spared = rehearse(both, company(), lambda _: HOUSE, Bounds(), MONDAY + DAY)

    assert {share.recipient for share in alone} == {"mia", "sam"}
    assert {share.recipient for share in spared} == {"mia"}
    assert spared[MINE] == Counter(in_hours=1, alerts=1)
    assert unheard([person, wave], company()) == [wave]
