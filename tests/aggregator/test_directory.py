"""People of the directory as the metrics see them."""

from datetime import date
from zoneinfo import ZoneInfo

from services.aggregator.store import directory
from services.metrics.shape import Interval, Person, Spell, WaveStart
from services.postgres import Pool, transaction
from tests.builders import add_person, add_tenant

JANUARY, MARCH, APRIL, MAY = date(2026, 1, 5), date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 4)

EVERYBODY = {
    "anna": Person(
        "anna",
        (
            Spell(Interval(date.min, MARCH), "North", "seller", "bo"),
            Spell(
                Interval(MARCH, None),
                "South",
                "lead",
                kind="human",
                function="Sales",
                location="Kiel",
                segment="A",
                champion=True,
                leadership=True,
                opted_out=True,
                work_days=frozenset({1, 2, 3}),
            ),
        ),
        (Interval(JANUARY, date(2026, 5, 1)), Interval(date(2026, 6, 1), None)),
        (Interval(date(2026, 4, 6), date(2026, 4, 11)),),
        (
            WaveStart("all", MAY, date.min),
            WaveStart("kiel", MAY, MARCH),
            WaveStart("named", MAY, date.min),
            WaveStart("roles", MAY, MARCH),
        ),
        ZoneInfo("Asia/Bahrain"),
        "BH",
        Interval(date(2026, 1, 7), date(2027, 1, 1)),
        prices=((Interval(JANUARY, APRIL), 100_000), (Interval(APRIL, date(2026, 5, 1)), 120_000)),
    ),
    "bo": Person("bo", (Spell(Interval(date.min, None)),), waves=(WaveStart("all", MAY, date.min),)),
}


async def test_a_person_is_read_with_all_that_holds_of_them_and_since_when(pool: Pool) -> None:
    await add_tenant(pool)
    await add_person(pool, "anna", team="North", role="seller", manager="bo", licensed_from=JANUARY)
    await add_person(pool, "bo", team=None, role=None, licensed_from=None)
    await pool.execute("update membership set valid_to = $1 where user_id = 'anna'", MARCH)
    await pool.execute(
        """insert into membership values ('acme', 'anna', $1, null, 'South', 'lead', null, 'human',
               'Sales', 'Kiel', 'A', true, true, true, '{1,2,3}')""",
        MARCH,
    )
    await pool.execute("update licence set licensed_to = '2026-03-31', price = 10")
    await pool.execute("insert into licence values ('acme', 'anna', '2026-04-01', '2026-04-30', 12)")
    await pool.execute("insert into licence values ('acme', 'anna', '2026-06-01', null)")
    await pool.execute("insert into absence values ('acme', 'anna', '2026-04-06', '2026-04-10')")
    await pool.execute(
        """update person set time_zone = 'Asia/Bahrain', calendar = 'BH', active_from = '2026-01-07',
           active_to = '2026-12-31' where user_id = 'anna'"""
    )
    for wave, scope in (
        ("all", {}),
        ("kiel", {"teams": ["South"]}),
        ("named", {"people": ["anna"], "teams": ["none"]}),
        ("roles", {"roles": ["lead", "chief"]}),
        ("other", {"teams": ["East"]}),
    ):
        await pool.execute("insert into wave values ('acme', $1, $1, $2, $3)", wave, MAY, scope)

    async with transaction(pool) as tx:
        found = await directory.people(tx, "acme", ["anna", "bo", "nobody"])

    assert found == EVERYBODY
