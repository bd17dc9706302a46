"""Which rules the evaluator judges a tenant by."""

from zoneinfo import ZoneInfo

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.waves import Wave
from services.aggregator.store.rules import rules
from services.api.store import rules as store
from services.api.store import tenants
from services.postgres import Pool
from services.rules.pack import DEFAULT
from tests.aggregator.evaluation import evaluator
from tests.aggregator.settle import TENANT, settle
from tests.aggregator.world import MONDAY, World, crew, later, users
from tests.builders import add_tenant


async def _version(pool: Pool, number: int, spec: object, *, tenant: str = "acme", rule: str = "team-lagging") -> None:
    await pool.execute(
        "insert into rule_version (tenant, rule, number, spec, actor) values ($1, $2, $3, $4, 'k1')",
        tenant,
        rule,
        number,
        spec,
    )


async def test_a_tenant_that_changed_nothing_is_judged_by_the_packs(pool: Pool) -> None:
    await add_tenant(pool)
    await add_tenant(pool, "other")
    await _version(pool, 1, {"enabled": False}, tenant="other")

    assert await rules(pool, "acme") == DEFAULT


async def test_the_newest_version_counts(pool: Pool) -> None:
    await add_tenant(pool)
    for number, minimum in ((9, 12), (10, 20)):
        await _version(pool, number, {"minimum": minimum})
    await _version(pool, 1, {"enabled": False}, rule="user-lapsed")
    await _version(pool, 2, None, rule="user-lapsed")

    found = await rules(pool, "acme")

    assert (found["team-lagging"].minimum, found["team-lagging"].version) == (20, 11)
    assert (found["user-lapsed"].enabled, found["user-lapsed"].version) == (True, 3)


async def test_a_version_that_makes_no_sense_stops_nothing(pool: Pool) -> None:
    await add_tenant(pool)
    await _version(pool, 1, {"params": {"metric": "adoption.magic"}})
    await _version(pool, 1, {"kind": "threshold"}, rule="half-a-rule")

    found = await rules(pool, "acme")

    assert found["team-lagging"].params == DEFAULT["team-lagging"].params
    assert "half-a-rule" not in found


async def _judged(pool: Pool, rule: str) -> list[tuple[str, str | None, int]]:
    await evaluator(pool).evaluate(TENANT, later(4))
    rows = await pool.fetch("select state, resolution, rule_version from alert where rule = $1", rule)
    return [tuple(row) for row in rows]


async def test_what_a_changed_rule_would_not_have_told_is_withdrawn_and_comes_back_with_it(pool: Pool) -> None:
    rule = "wave-connection-d3-emergency"
    world = World(crew(12), [Wave("all", "All", MONDAY)], Calendar(ZoneInfo("UTC")))
    world.visit(users(world.members)[:8], later(0))
    await settle(pool, world, later(4))
    before = await _judged(pool, rule)

    await _changed(pool, rule, {"params": {"below": 60}})
    softer = await _judged(pool, rule)
    await _changed(pool, rule, None)

    assert before == [("open", None, 1)]
    assert softer == [("resolved", "restated", 1)]
    assert [state for state, *_ in await _judged(pool, rule)] == ["open"]


async def _changed(pool: Pool, rule: str, spec: dict[str, object] | None) -> None:
    async with pool.acquire() as connection:
        await store.keep(connection, TENANT, rule, spec, "k1")  # type: ignore[arg-type]
        await tenants.bump(connection, TENANT)
