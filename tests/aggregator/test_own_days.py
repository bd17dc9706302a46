"""People whose days are not everybody's are asked for by their own: leave, part time, a later start. On Postgres."""

from datetime import timedelta

from services.postgres import Pool
from tests.aggregator.evaluation import evaluator
from tests.aggregator.metered import Office, at

D2, D3, JOINER = "user-not-connected-d2", "user-never-logged-in-d3", "joiner-not-connected-d3"
MONDAY = at(0).date()
DAY = timedelta(days=1)


async def launch(pool: Pool, *users: str) -> None:
    """Let people go live on a Monday who never come."""
    office = await Office.open(pool)
    await pool.execute("insert into wave (tenant, id, name, go_live) values ('acme', 'w', 'One', $1)", MONDAY)
    for user in users:
        await office.person(user, manager="boss")
    await pool.execute("insert into measured_week (tenant, week, known_at) values ('acme', $1, now())", MONDAY)


async def away(pool: Pool, user: str, first: int, last: int) -> None:
    sql = """insert into absence (tenant, user_id, "first", "last") values ('acme', $1, $2, $3)"""
    await pool.execute(sql, user, MONDAY + first * DAY, MONDAY + last * DAY)


async def told(pool: Pool, day: float, hour: float = 9) -> dict[str, tuple[str, str | None]]:
    """Return the rule and the resolution of the alert of each person."""
    await pool.execute("insert into to_judge (tenant, kind, key) values ('acme', 'all', '')")
    await evaluator(pool).evaluate("acme", at(day, hour))
    rows = await pool.fetch("select subject_key, rule, resolution from alert where subject_kind = 'user'")
    return {row["subject_key"]: (row["rule"], row["resolution"]) for row in rows}


async def test_people_are_asked_for_by_their_own_days(pool: Pool) -> None:
    changes = {
        "usual": "update membership set work_days = null",
        "part-time": "update membership set work_days = '{1,4,5}'",
        "portuguese": "update person set calendar = 'PT'",
        "tuesday": "update person set active_from = '2026-03-03'",
        "joiner": "update person set active_from = '2026-03-04'",
        "gone": "update person set active_to = '2026-03-03'",
        "unmeasured": "update membership set opted_out = true",
    }
    await launch(pool, "on-leave", "back", *changes)
    for user, change in changes.items():
        await pool.execute(f"{change} where user_id = '{user}'")
    await away(pool, "on-leave", 1, 1)
    await away(pool, "back", 0, 3)

    two, three = (D2, None), (D3, None)
    assert await told(pool, 2, 11.99) == {}
    assert await told(pool, 2, 12) == {"usual": two, "portuguese": two}
    assert await told(pool, 3, 11.99) == {"usual": two, "portuguese": two}
    assert await told(pool, 3, 12) == dict.fromkeys(("usual", "portuguese", "on-leave", "tuesday"), two)
    assert await told(pool, 4, 12) == {
        **dict.fromkeys(("usual", "portuguese"), three),
        **dict.fromkeys(("on-leave", "tuesday", "part-time"), two),
    }
    later = await told(pool, 10)
    assert [user for user, (rule, _) in sorted(later.items()) if rule == D3] == [
        *("on-leave", "part-time", "portuguese", "tuesday", "usual")
    ]
    assert {user for user, (rule, _) in later.items() if rule == JOINER} == {"back", "joiner"}
    window = await pool.fetchval("""select "window" from alert where subject_key = 'on-leave'""")
    assert (window["from"], window["to"]) == ("2026-03-02", "2026-03-06")
    said = await pool.fetch("select distinct subject_key, reason from rule_evaluation where rule = $1", D2)
    assert {user: reason for user, reason in said if reason} == {
        "back": "on_leave",
        "joiner": "not_live",
        "unmeasured": "opted_out",
    }


async def test_leave_that_is_told_of_later_takes_the_alert_back(pool: Pool) -> None:
    await launch(pool, "ann")
    opened = await told(pool, 2, 13)
    await away(pool, "ann", 0, 6)

    assert (opened, await told(pool, 3)) == ({"ann": (D2, None)}, {"ann": (D2, "restated")})
