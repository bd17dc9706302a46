"""How far the road has come: what was folded, and whether everything asked about is through."""

from datetime import datetime
from typing import Final

from schemas.statements import OF_RECORDS
from services.postgres import Connection, Row

MOST_SOURCES: Final = 100


async def moment(connection: Connection) -> datetime:
    """Return Postgres' clock now: what was acknowledged until here must be through."""
    instant: datetime = await connection.fetchval("select clock_timestamp()")
    return instant


_PROGRESS: Final = f"""
select (select value::int from installation where name = 'shards') as shards,
       (select count(*) from position where drained_at >= $2) as drained,
       exists (select from directory_change
               where tenant = $1 and ($3::timestamptz is null or queued_at <= $3)) as waiting,
       clock_timestamp() as moment,
       (select sum(version)::bigint from tally where tenant = $1) as version,
       (select version from evaluation where tenant = $1) as evaluated,
       exists (select from dirty where tenant = $1 and queued_at < 'infinity'
               and ($4::timestamptz is null or queued_at <= $4) and ($7 or not {OF_RECORDS}))
         or exists (select from measured where tenant = $1 and cut is not null
                    and ($4::timestamptz is null or coalesce(through, timestamptz '-infinity') < $4)) as unmeasured,
       exists (select from measured m where m.tenant = $1 and coalesce(m.until, timestamptz '-infinity') <= case
         when $6 then $5::timestamptz else (select max(newest) from tally where tenant = $1) end) as behind,
       exists (select from to_judge
               where tenant = $1 and ($8::timestamptz is null or queued_at <= $8)) as unjudged
"""


async def progress(
    connection: Connection,
    tenant: str,
    asked_at: datetime,
    queued_by: datetime | None,
    soiled_by: datetime | None,
    now: datetime | None,
    *,
    records: bool,
    measured_by: datetime | None,
) -> Row:
    """Return how far everything is, in one snapshot, taken before ``moment``.

    ``shards`` there are, ``drained`` of them since ``asked_at``; a change of the directory, or of people with several
    identities, is ``waiting`` that was queued by ``queued_by`` (None: now); ``version`` is what was counted,
    ``evaluated`` what was judged. Something is ``unmeasured`` that was queued by ``soiled_by`` (None: now); time went
    on and the measurer is ``behind``. ``now``: of a tenant on the wall clock. ``records``: these count, too.
    ``unjudged``: somebody waits for the rules who was queued by ``measured_by`` (None: now).
    """
    return await connection.fetchrow(
        _PROGRESS, tenant, asked_at, queued_by, soiled_by, now, now is not None, records, measured_by
    )


async def counts(connection: Connection, tenant: str) -> Row:
    """Return what happened to the tenant's events."""
    return await connection.fetchrow(
        """select coalesce(sum(folded), 0)::bigint as folded, coalesce(sum(duplicates), 0)::bigint as duplicates,
                  coalesce(sum(conflicts), 0)::bigint as conflicts, coalesce(sum(late), 0)::bigint as late,
                  coalesce(sum(unmapped), 0)::bigint as unmapped,
                  coalesce(sum(dead_letters), 0)::bigint as dead_letters, max(newest) as watermark,
                  (select count(*) from dead_letter where tenant = $1 and state = 'open') as dead_letters_open
           from tally where tenant = $1""",
        tenant,
    )


async def silent(connection: Connection, tenant: str) -> set[str]:
    """Return the sources that are silent now."""
    rows = await connection.fetch("select source from silence where tenant = $1 and state = 'silent'", tenant)
    return {row["source"] for row in rows}


async def sources(connection: Connection, tenant: str, silent: list[str]) -> list[Row]:
    """Return the sources that spoke last, the latest first, and those of the kinds ``silent`` that never did."""
    rows: list[Row] = await connection.fetch(
        """select coalesce(s.source, '/hooks/' || o.id) as id, s.last_event_at, s.last_login_at, o.kind, o.logins_until
           from (select source, max(last_event_at) as last_event_at, max(last_login_at) as last_login_at
                 from source_seen where tenant = $1 group by source) s
           full join (select id, kind, logins_until from source where tenant = $1) o on s.source = '/hooks/' || o.id
           where s.source is not null or o.kind = any($3) order by 2 desc nulls last, 1 limit $2""",
        tenant,
        MOST_SOURCES,
        silent,
    )
    return rows
