"""Queueing everybody and every record of a tenant, so many at a time."""

from datetime import date, datetime
from typing import Final

from services.aggregator.domain.measures import Span
from services.postgres import Connection

_PEOPLE: Final = """
with part as (select user_id from person where tenant = $1 and user_id > $3 order by user_id limit $6),
queued as (insert into dirty (tenant, kind, subject, low, high, queued_at)
  select $1, 'person', user_id, $4, $5, $2 from part)
select max(user_id), count(*) = $6 as more from part
"""
_RECORDS: Final = """
with part as (select distinct subject from contribution
  where tenant = $1 and kind = 'record' and subject > $3 and ($7::date is null or week = $7) order by subject limit $6),
queued as (insert into dirty (tenant, kind, subject, low, high, queued_at)
  select $1, 'record', subject, $4, $5, $2 from part)
select max(subject), count(*) = $6 as more from part
"""
_TOUCHED: Final = """
insert into dirty (tenant, kind, subject, low, high, queued_at)
select $1, 'record', object || E'\\t' || record, $5::date, $6::date, $2
from (select object, record from record_change where tenant = $1 and $3::date is null
  union select object, record from record_base where tenant = $1 and $3::date is null
  union select object, record from activity
    where $3::date is not null and tenant = $1 and at >= $3::date - interval '2 days'
      and ($4::date is null or at < $4::date + interval '2 days')
      and record is not null and object is not null and kind like 'crm.record.%') known
"""


async def people(tx: Connection, tenant: str, since: datetime, after: str, span: Span, limit: int) -> str | None:
    """Queue the next ``limit`` people behind ``after``; return the last one, None when nobody is left."""
    last, more = await tx.fetchrow(_PEOPLE, tenant, since, after, *span, limit)
    return last if more else None


async def records(
    tx: Connection, tenant: str, since: datetime, after: str, span: Span, week: date | None, limit: int
) -> str | None:
    """Queue the next ``limit`` records behind ``after``, that contribute to ``week`` (None: to any).

    Returns the last one, None when none is left.
    """
    last, more = await tx.fetchrow(_RECORDS, tenant, since, after, *span, limit, week)
    return last if more else None


async def touched(tx: Connection, tenant: str, since: datetime, span: Span, changed: Span) -> None:
    """Queue the records to which something was done in ``span``, as ``changed``: they may count in no week so far."""
    await tx.execute(_TOUCHED, tenant, since, *span, *changed)
