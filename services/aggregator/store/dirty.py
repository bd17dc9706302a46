"""The queue of what is to be measured anew.

Whatever changes something that a number rests on writes it in its own transaction; the measurer takes it in the one of
what follows. A batch of events, which concerns many, writes one row of all of them: the measurer makes single rows of
such when it begins a pass, one of each subject however many batches it was in.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from schemas.statements import OF_RECORDS
from services.aggregator.domain.measures import Span, Subject
from services.metrics.records import AFTERMATH
from services.postgres import Connection, Pool, Row


class Waiting(NamedTuple):
    """What waits to be measured: a subject with the rows that say so, and the days on which something changed."""

    subject: Subject
    rows: Sequence[int]
    span: Span


_WAITING: Final = """
select kind, subject, array_agg(seq) as rows,
  case when bool_and(low is not null) then min(low) end as low,
  case when bool_and(high is not null) then max(high) end as high
from dirty where tenant = $1 and queued_at <= $2 and subjects is null and {kind}
group by kind, subject order by {order} limit {limit}
"""
AT_ONCE: Final = 2_000
"""So many are named at a time, however many wait."""
_OTHERS: Final = f"kind <> 'week' and not {OF_RECORDS}"


PACKED: Final = 100
"""So many batches are unpacked at a time."""
_UNPACK: Final = """
with packed as (delete from dirty where seq = any(array(
    select seq from dirty where tenant = $1 and subjects is not null order by seq limit $2))
  returning kind, subjects, lows, highs, queued_at)
insert into dirty (tenant, kind, subject, low, high, queued_at)
select $1, kind, s,
  case when bool_and(l is not null) then min(l) end, case when bool_and(h is not null) then max(h) end, min(queued_at)
from packed, unnest(subjects, lows, highs) as q(s, l, h) group by kind, s
"""


async def unpack(tx: Connection, tenant: str) -> None:
    """Make single rows of what batches queued, the oldest first. Only whoever holds the lock of the measurer does."""
    await tx.execute(_UNPACK, tenant, PACKED)


async def waiting(
    connection: Connection, tenant: str, cut: datetime, week: date | None, *, records: bool
) -> list[Waiting]:
    """Return the next people, or ``records``, that were queued until ``cut``.

    First those to whom something happened on some days before ``week``, then on others, then what has no end.
    """
    order = "bool_or(low is null or high is null), min(low) >= $3::date, min(seq)"
    sql = _WAITING.format(kind=OF_RECORDS if records else _OTHERS, order=order, limit=AT_ONCE)
    return [_waiting(row) for row in await connection.fetch(sql, tenant, cut, week or date.min)]


async def wait(connection: Connection, tenant: str, cut: datetime, *, records: bool) -> bool:
    """Tell whether people, or ``records``, wait that were queued until ``cut``."""
    sql = f"""select exists (select from dirty where tenant = $1 and queued_at <= $2 and subjects is null
        and {OF_RECORDS if records else _OTHERS})"""
    return bool(await connection.fetchval(sql, tenant, cut))


async def people_wait(connection: Connection, tenant: str) -> bool:
    """Tell whether anybody waits, whenever they were queued."""
    sql = f"select exists (select from dirty where tenant = $1 and queued_at < 'infinity' and {_OTHERS})"
    return bool(await connection.fetchval(sql, tenant))


async def records_wait(connection: Connection, tenant: str, since: datetime) -> bool:
    """Tell whether something of records has waited since before ``since``."""
    sql = f"select exists (select from dirty where tenant = $1 and queued_at < $2 and {OF_RECORDS})"
    return bool(await connection.fetchval(sql, tenant, since))


# A change without an end was put off by as much as it reaches back, see ``measuring.records``.
_REACHING: Final = """
select exists (select from dirty where tenant = $1 and kind <> 'week' and queued_at < 'infinity'
  and (low is null or low - case when kind = 'record' and high is null then $4::int else 0 end <= $3)
  and (high is null or high >= $2))
"""


async def reaching(connection: Connection, tenant: str, first: date, last: date) -> bool:
    """Tell whether anything waits that changed on the days from ``first`` to ``last``."""
    return bool(await connection.fetchval(_REACHING, tenant, first, last, AFTERMATH.days))


async def weeks_waiting(connection: Connection, tenant: str, cut: datetime) -> list[Waiting]:
    """Return the weeks that were queued until ``cut``, because it is to be found out who is hidden; newest first."""
    sql = _WAITING.format(kind="kind = 'week'", order="subject desc", limit="all")
    return [_waiting(row) for row in await connection.fetch(sql, tenant, cut)]


def _waiting(row: Row) -> Waiting:
    return Waiting(Subject(row["kind"], row["subject"]), row["rows"], Span(row["low"], row["high"]))


async def anything(tx: Connection, tenant: str) -> bool:
    """Tell whether anything waits."""
    return bool(
        await tx.fetchval("select exists (select from dirty where tenant = $1 and queued_at < 'infinity')", tenant)
    )


async def lowest(tx: Connection, tenant: str) -> date | None:
    """Return the first day on which something changed of what waits; who changed altogether, may have before any."""
    sql = "select min(coalesce(low, date '1970-01-02')) from dirty where tenant = $1"
    day: date | None = await tx.fetchval(sql, tenant)
    return day


_TAKE: Final = "delete from dirty where seq = any($1) returning kind, subject, low, high, queued_at"


async def take(tx: Connection, rows: Sequence[int]) -> tuple[dict[Subject, Span], datetime | None]:
    """Take ``rows`` off the queue; return what those that were still there said, by subject, and the oldest's age."""
    found: dict[Subject, Span] = {}
    since: datetime | None = None
    for row in await tx.fetch(_TAKE, rows):
        since = row["queued_at"] if since is None else min(since, row["queued_at"])
        subject, span = Subject(row["kind"], row["subject"]), Span(row["low"], row["high"])
        found[subject] = found[subject] | span if subject in found else span
    return found, since


_QUEUE: Final = """
insert into dirty (tenant, kind, subject, low, high, queued_at)
select $1, k, s, l, h, $2 from unnest($3::text[], $4::text[], $5::date[], $6::date[]) as q(k, s, l, h)
"""


async def queue(tx: Connection, tenant: str, since: datetime, spans: Iterable[tuple[Subject, Span]]) -> None:
    """Queue subjects that have waited as long as their cause."""
    rows = list(spans)
    if rows:
        await tx.execute(
            _QUEUE,
            tenant,
            since,
            [subject.kind for subject, _ in rows],
            [subject.key for subject, _ in rows],
            [span.low for _, span in rows],
            [span.high for _, span in rows],
        )


async def set_aside(pool: Pool, rows: Sequence[int]) -> None:
    """Keep ``rows`` that nothing can be done about: nobody waits for them; what is rebuilt does not need them."""
    await pool.execute("update dirty set queued_at = 'infinity' where seq = any($1)", rows)


class Backlog(NamedTuple):
    """What waits, and for how many seconds the oldest does."""

    number: int
    seconds: float


async def backlog(connection: Connection, tenants: Sequence[str]) -> Backlog:
    """Return how much waits to be measured of ``tenants``."""
    sql = """select coalesce(sum(coalesce(cardinality(subjects), 1)), 0)::int as number,
        coalesce(extract(epoch from clock_timestamp() - min(queued_at)), 0)::float8 as seconds
        from dirty where tenant = any($1) and queued_at < 'infinity'"""
    return Backlog(*await connection.fetchrow(sql, tenants))
