"""What stood in the way of those who have not connected: refused logins, and managers who are away too."""

from datetime import date
from typing import Any

from services.postgres import Pool
from tests.aggregator.evaluation import evaluator
from tests.aggregator.metered import Office, at

D3 = "user-never-logged-in-d3"
REFUSED = "crm.session.login_failed"


async def launch(pool: Pool) -> Office:
    """Return an office of eleven with their boss, of whom nobody connects; two of them tried to."""
    office = await Office.open(pool)
    await pool.execute("insert into wave (tenant, id, name, go_live) values ('acme', 'w', 'One', $1)", at(0).date())
    await office.person("boss", manager="far-away")
    for number in range(10):
        await office.person(f"p{number}", manager="boss", licensed_from=date(2026, 2, 1 + number))
    await office.merge("p0@sso", "p0")
    for when in (at(1), at(1, 9.5), at(3), at(3, 25)):
        office.act("p0@sso", when, REFUSED)
    office.act("p1", at(2), REFUSED)
    office.act("p2", at(0), REFUSED, environment="sandbox")
    office.act("p3", at(-1), REFUSED)
    await office.fold()
    return office


async def told(pool: Pool, rule: str, key: str = "w") -> dict[str, Any]:
    await evaluator(pool).evaluate("acme", at(4))
    found: dict[str, Any] = await pool.fetchval(
        "select evidence from alert where rule = $1 and subject_key = $2", rule, key
    )
    return found


async def test_an_alert_tells_since_when_somebody_may_come_and_when_they_were_refused(pool: Pool) -> None:
    await launch(pool)
    tried, others = await told(pool, D3, "p0"), [await told(pool, D3, f"p{number}") for number in (2, 3)]

    assert (tried["licence_start"], tried["days_since"]) == ("2026-02-01", 3)
    assert tried["last_failed_login"] == at(3).isoformat(), "what came after D+3 is not what it was judged by"
    assert not any("last_failed_login" in each for each in others), "practice, and before the go-live"


async def test_an_alert_on_a_wave_counts_managers_and_the_refused_among_the_missing(pool: Pool) -> None:
    await launch(pool)
    waves = [await told(pool, rule) for rule in ("wave-connection-d1-below-target", "wave-connection-d3-emergency")]

    assert [(each["missing"], each["managers_missing"], each["refused"]) for each in waves] == [(11, 1, 1), (11, 1, 2)]


async def test_what_was_told_of_refused_logins_outlasts_their_events(pool: Pool) -> None:
    await launch(pool)
    before = await told(pool, D3, "p0"), await told(pool, "wave-connection-d3-emergency")
    changes = await pool.fetchval("select count(*) from alert_change")
    await pool.execute("delete from activity")
    await pool.execute("update tenant set activity_from = $1", at(2).date())

    assert (await told(pool, D3, "p0"), await told(pool, "wave-connection-d3-emergency")) == before
    assert await pool.fetchval("select count(*) from alert_change") == changes
