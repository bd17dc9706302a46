"""What is written as lines for COPY is what PostgreSQL reads, whatever a sender put into a name."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas.events import Event, EventData
from services.aggregator.domain.facts import Claimed
from services.aggregator.store import activity, partitions
from services.aggregator.store.copying import spelled
from services.postgres import Pool, transaction
from tests.aggregator.test_arrays import NASTY

AT = datetime(2026, 3, 2, 8, 0, 0, 1, tzinfo=UTC)
INSTANTS = [
    *(AT, datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    *(AT.replace(microsecond=0) + timedelta(hours=n, minutes=7 * n, seconds=11 * n) for n in range(16)),
]
FORGED = "x" + "\t" * 13 + "\nacme"
"""A value that looks like a line of its own, with as many columns as it has to have."""


def claimed(at: datetime = AT, tenant: str = "acme", kind: str = "crm.record.updated", **data: Any) -> Claimed:
    told = EventData(**{"object": "deal", "record": "7", "origin": "ui", **data})
    return Claimed(Event(tenant, "crm", "", kind, at, told), at, uuid4().bytes, AT)


async def test_instants_come_back_as_they_are(pool: Pool) -> None:
    told = [spelled(instant) for instant in INSTANTS]

    assert await pool.fetchval("select $1::text[]::timestamptz[]", told) == INSTANTS


WORDS = [*NASTY, "\\N", "\\.", "a\r\nb", "\r", "\x01\x01", FORGED, "plain", None]


@pytest.mark.parametrize("groups", [[[word] for word in WORDS], [WORDS]], ids=["each alone", "all at once"])
async def test_texts_come_back_as_they_are(pool: Pool, groups: list[list[str | None]]) -> None:
    async with transaction(pool) as tx:
        await partitions.make(tx, [AT.date()])
        for words in groups:
            made = [claimed(owner=it, stage=it, on_behalf_of=it, user=it, module=it) for it in words]
            await activity.keep(tx, made)
            acts = await tx.fetch("delete from activity returning identity, user_id, behalf, detail, record")
            told = await tx.fetch("delete from record_change returning identity, owner, stage, user_id, record")

            given = {UUID(bytes=each.identity): it for each, it in zip(made, words, strict=True)}
            assert {row[0]: tuple(row)[1:] for row in acts} == {
                name: (it or "", it, it, "7") for name, it in given.items()
            }
            assert {row[0]: tuple(row)[1:] for row in told} == {name: (it, it, None, "7") for name, it in given.items()}


async def test_what_is_no_text_comes_back_as_it_is(pool: Pool) -> None:
    made = [
        claimed(bulk=bulk, automatic=bulk, rows=rows, close_date=day, forecast=forecast, fields=fields)
        for bulk, rows, day, forecast, fields in [
            (True, 0, date.min, "commit", {}),
            (False, 2**63 - 1, date.max, 7.5, {"a\tb": 'x"\x01', "é": "filled"}),
            (None, None, None, None, None),
        ]
    ]
    async with transaction(pool) as tx:
        await partitions.make(tx, [AT.date()])
        await activity.keep(tx, made)
        acts = await tx.fetch("select bulk, automatic, rows from activity")
        told = await tx.fetch("select close_date, forecast, fields from record_change")

    assert [tuple(row) for row in acts] == [(True, True, 0), (False, False, 2**63 - 1), (None, None, None)]
    assert [tuple(row) for row in told] == [
        (date.min, "commit", {}),
        (date.max, None, {"a\tb": 'x"\x01', "é": "filled"}),
        (None, None, None),
    ]


async def test_an_empty_key_is_no_record_and_a_forged_line_is_no_line(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await partitions.make(tx, [AT.date()])
        await activity.keep(tx, [])
        await activity.keep(tx, [claimed(record="", owner="a\tb"), claimed(object="", user="a\tb"), claimed(user="")])
        await activity.keep(tx, [claimed(owner=FORGED)])

        assert await tx.fetchval("select count(*) from activity") == 4
        assert [tuple(row) for row in await tx.fetch("select user_id, owner from record_change")] == [
            (None, None),
            (None, FORGED),
        ]
