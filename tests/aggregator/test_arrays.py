"""What is packed into an array literal is what PostgreSQL unpacks, whatever a sender put into a name."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from services.aggregator.store.arrays import dates, instants, numbers, optional, texts, uuids
from services.postgres import Pool

NASTY = ["", "null", "NULL", '"', "\\", '\\"', "{", "}", "a,b", ' spaced "', "\t\n\x01\x1f", "ü€😀", "'", "{}", '","']


async def test_texts_come_back_as_they_are(pool: Pool) -> None:
    for given in ([], [""], ["plain", "words"], NASTY, *([nasty] for nasty in NASTY)):
        assert await pool.fetchval("select coalesce($1::text::text[], '{}')", texts(given)) == given


async def test_texts_and_nulls_come_back_as_they_are(pool: Pool) -> None:
    for given in ([], [None], [*NASTY, None, *NASTY]):
        assert await pool.fetchval("select $1::text::text[]", optional(given)) == given


async def test_integers_and_nulls_come_back_as_they_are(pool: Pool) -> None:
    for given in ([], [0], [None], [-(2**63), None, 2**63 - 1]):
        assert await pool.fetchval("select $1::text::bigint[]", numbers(given)) == given


async def test_fractions_and_nulls_come_back_to_the_last_digit(pool: Pool) -> None:
    for given in ([], [0.0], [None], [1 / 3, None, 5e-324, 1e-5, 1.0, 0.1 + 0.2]):
        assert await pool.fetchval("select $1::text::float8[]", numbers(given)) == given


async def test_dates_and_identities_come_back_as_they_are(pool: Pool) -> None:
    days = [date(2026, 3, 2), None, date.min, date.max, date(2026, 3, 2)]
    names = [uuid4() for _ in range(3)]

    assert await pool.fetchval("select $1::text::date[]", dates(days)) == days
    assert await pool.fetchval("select $1::text::uuid[]", uuids([name.bytes for name in names])) == names


async def test_instants_are_exact_for_two_centuries_and_never_leave_their_last_year(pool: Pool) -> None:
    given = [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 2, 8, 0, 0, 1, tzinfo=UTC),
        datetime(2255, 6, 5, 23, 47, 34, 740_991, tzinfo=UTC),
        None,
    ]
    last = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    sql = "select array_agg(timestamptz 'epoch' + x * interval '1 microsecond') from unnest($1::text::bigint[]) as x"

    assert await pool.fetchval(sql, instants(given)) == given
    assert timedelta() <= last - (await pool.fetchval(sql, instants([last])))[0] < timedelta(microseconds=64)
