"""What is read of records, and what is carried when older activity goes."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from schemas.fields import FieldRegistry, ObjectFields
from services.aggregator.store import partitions
from services.aggregator.store.records import TOLD, carry, histories, key_of
from services.metrics.histories import Change, Timeline
from services.metrics.policies import policies
from services.postgres import Connection, Pool, transaction
from tests.builders import NOON, add_tenant, keep

DAY = timedelta(days=1)
POLICIES = policies(FieldRegistry(objects={"deal": ObjectFields(close_date=["CloseDate"], decision=["Amount"])}))
ONE = key_of("deal", "1")


async def tell(tx: Connection, number: int, at: datetime = NOON, **more: Any) -> None:
    await keep(tx, at, **{"identity": UUID(int=number), "object": "deal", "record": "1", **more})


async def test_the_history_of_a_record_is_all_that_was_told_of_it(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await tell(tx, 1, NOON - 9 * DAY, kind="crm.record.created", owner="eve", stage="New", forecast="Commit")
        await tell(tx, 2, fields={"Amount": "filled"}, close_date=date(2026, 5, 1))
        await tell(tx, 3, on_behalf_of="bo")
        await tell(tx, 4, user="")
        await tell(tx, 5, NOON + DAY)
        await tell(tx, 6, environment="sandbox")
        await tell(tx, 7, tenant="other")
        await tell(tx, 8, kind="crm.task.started")
        await tell(tx, 9, record="2", object="contact")
        await tell(tx, 10, record="2\t3")
        found = await histories(tx, "acme", [ONE, key_of("contact", "1"), key_of("deal", "2\t3")], NOON + DAY)

    identities = [str(UUID(int=number)) for number in (1, 2, 3, 4)]
    assert sorted(found[ONE].changes) == [
        Change(NOON - 9 * DAY, identities[0], "crm.record.created", "ada", "ui", "eve", "New", None, "Commit"),
        Change(
            NOON,
            identities[1],
            "crm.record.updated",
            "ada",
            "ui",
            None,
            None,
            date(2026, 5, 1),
            None,
            {"amount": "filled"},
        ),
        Change(NOON, identities[2], "crm.record.updated", None, "ui"),
        Change(NOON, identities[3], "crm.record.updated", None, "ui"),
    ]
    assert found[key_of("contact", "1")].changes == []
    assert [change.identity for change in found[key_of("deal", "2\t3")].changes] == [str(UUID(int=10))]


async def test_what_is_carried_stands_for_the_days_that_are_dropped(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await add_tenant(tx)
        await add_tenant(tx, "other")
        await tell(tx, 1, NOON - 2 * DAY, kind="crm.record.created", owner="eve", fields={"Amount": "placeholder"})
        await tell(tx, 2, NOON - DAY, user="bo", stage="Offer")
        await tell(tx, 3, close_date=date(2026, 5, 1), fields={"CloseDate": "filled"})
        await tell(tx, 4, NOON - DAY, tenant="other")
        before = (await histories(tx, "acme", [ONE], NOON + DAY))[ONE]
        start = NOON.replace(hour=0)
        for day in (start - 2 * DAY, start - DAY):
            assert await carry(tx, "acme", POLICIES, day, day + DAY) == 1
        after = (await histories(tx, "acme", [ONE], NOON + DAY))[ONE]

        kept = await tx.fetch("select tenant, count(*) from record_change group by 1 order by 1")

    assert len(after.changes) == 1
    assert [tuple(row) for row in kept] == [("acme", 1), ("other", 1)]
    whole, rest = Timeline(before.changes, POLICIES["deal"]), Timeline(after.changes, POLICIES["deal"], after.base)
    for instant in (start, NOON, NOON + DAY):
        assert rest.state_at(instant) == whole.state_at(instant)


async def test_of_a_kind_that_the_registry_does_not_know_it_is_carried_too(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await add_tenant(tx)
        await tell(tx, 1, object="thing", owner="eve")
        await carry(tx, "acme", POLICIES, NOON, NOON + DAY)
        [history] = (await histories(tx, "acme", [key_of("thing", "1")], NOON + DAY)).values()

    assert history.base is not None
    assert history.base.owner == "eve"


async def test_records_of_one_key_are_carried_each_for_itself(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.aggregator.store.records._CHUNK", 2)
    keys = [key_of("contact", "2"), key_of("deal", "1"), key_of("deal", "2")]
    async with transaction(pool) as tx:
        await add_tenant(tx)
        for number, key in enumerate(keys):
            noun, _, record = key.partition("\t")
            await tell(tx, number, object=noun, record=record, owner=key)
        assert await carry(tx, "acme", POLICIES, NOON, NOON + DAY) == 3
        found = await histories(tx, "acme", keys, NOON + DAY)

    assert {key: history.base and history.base.owner for key, history in found.items()} == {key: key for key in keys}


FILL: Final = """
with told as (
  select 'w' || r as record, n * $2::int / 10 as day from generate_series(1, 20) r, generate_series(0, 9) n
  union all select 'o' || d || '-' || r, d from generate_series(0, $2::int - 1) d, generate_series(1, 40) r),
acts as (insert into activity (tenant, user_id, at, identity, kind, source, origin, object, record, received_at)
  select $1, 'ada', $3::timestamptz + day * interval '1 day', gen_random_uuid(), 'crm.record.updated', 'crm', 'ui',
    'deal', record, $3 from told
  returning *)
insert into record_change (tenant, object, record, at, identity, kind, source, origin, user_id, owner)
select tenant, object, record, at, identity, kind, source, origin, user_id, 'eve' from acts order by at
"""


def read(plan: dict[str, Any]) -> Iterator[str]:
    """Yield the tables that a plan reads."""
    if "Relation Name" in plan:
        assert plan["Node Type"] != "Seq Scan"
        yield plan["Relation Name"]
    for child in plan.get("Plans", []):
        yield from read(child)


async def test_a_history_costs_as_much_amid_a_hundred_days_as_amid_ten(pool: Pool) -> None:
    blocks = {}
    async with transaction(pool) as tx:
        await partitions.make(tx, [(NOON + n * DAY).date() for n in range(100)])
        for tenant, days in (("young", 10), ("old", 100)):
            await tx.execute(FILL, tenant, days, NOON)
        await tx.execute("analyze record_change")
        for tenant in ("young", "old"):
            asked = [tenant, ["deal"], [f"w{n}" for n in range(1, 21)], NOON, NOON + 100 * DAY]
            answer = await tx.fetchval(f"explain (analyze, buffers, format json) {TOLD}", *asked)
            plan = answer[0]["Plan"]
            assert (set(read(plan)), plan["Actual Rows"]) == ({"record_change"}, 200)
            blocks[tenant] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    assert blocks["old"] <= 2 * blocks["young"], blocks
    assert blocks["old"] < 20 * 3, blocks
