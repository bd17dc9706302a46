"""What is read of records, and what is carried when older activity goes."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.fields import FieldRegistry, ObjectFields
from services.aggregator.store import partitions
from services.aggregator.store.records import carry, histories, key_of
from services.metrics.histories import Change, Timeline
from services.metrics.policies import policies
from services.postgres import Connection, Pool, transaction
from tests.builders import NOON, add_tenant

DAY = timedelta(days=1)
POLICIES = policies(FieldRegistry(objects={"deal": ObjectFields(close_date=["CloseDate"], decision=["Amount"])}))
ONE = key_of("deal", "1")


async def tell(tx: Connection, number: int, at: datetime = NOON, **more: Any) -> None:
    told = {
        "tenant": "acme",
        "user_id": "ada",
        "at": at,
        "identity": UUID(int=number),
        "kind": "crm.record.updated",
        "source": "crm",
        "origin": "ui",
        "object": "deal",
        "record": "1",
        "received_at": at,
        **more,
    }
    await partitions.make(tx, [at.date()])
    places = ", ".join(f"${n}" for n in range(1, len(told) + 1))
    await tx.execute(f"insert into activity ({', '.join(told)}) values ({places})", *told.values())


async def test_the_history_of_a_record_is_all_that_was_told_of_it(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await tell(tx, 1, NOON - 9 * DAY, kind="crm.record.created", owner="eve", stage="New", forecast="Commit")
        await tell(tx, 2, fields={"Amount": "filled"}, close_date=date(2026, 5, 1))
        await tell(tx, 3, behalf="bo")
        await tell(tx, 4, user_id="")
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
        await tell(tx, 2, NOON - DAY, user_id="bo", stage="Offer")
        await tell(tx, 3, close_date=date(2026, 5, 1), fields={"CloseDate": "filled"})
        await tell(tx, 4, NOON - DAY, tenant="other")
        before = (await histories(tx, "acme", [ONE], NOON + DAY))[ONE]
        start = NOON.replace(hour=0)
        for day in (start - 2 * DAY, start - DAY):
            assert await carry(tx, "acme", POLICIES, day, day + DAY) == 1
            await tx.execute("delete from activity where tenant = 'acme' and at < $1", day + DAY)
        after = (await histories(tx, "acme", [ONE], NOON + DAY))[ONE]

    assert len(after.changes) == 1
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
