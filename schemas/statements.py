"""Pieces of SQL that the stores of several services share, where they must mean the same.

``ZONES`` and ``CODES`` are common table expressions of ``with recursive`` that walk along an index: they cost by how
many there are, not by how many people or numbers have them. Their $1 is the tenant, the $2 of ``CODES`` the key of its
total.
"""

from typing import Final

ZONES: Final = """zones (zone) as (
    (select p.time_zone from person p where p.tenant = $1 and p.time_zone is not null order by 1 limit 1)
    union all
    select (select p.time_zone from person p
            where p.tenant = $1 and p.time_zone is not null and p.time_zone > zones.zone order by 1 limit 1)
    from zones where zones.zone is not null
)"""
"""The time zones of people who have one of their own; the last row is null."""
CODES: Final = """codes (code) as (
    (select c.metric from metric_cell c
     where c.tenant = $1 and c.dimension = 'tenant' and c.key = $2 order by c.metric limit 1)
    union all
    select (select c.metric from metric_cell c
            where c.tenant = $1 and c.dimension = 'tenant' and c.key = $2 and c.metric > codes.code
            order by c.metric limit 1)
    from codes where codes.code is not null
)"""
"""All that is counted of the tenant as a whole; the last row is null."""
OF_RECORDS: Final = "(kind = 'record' or kind = 'tenant' and subject similar to '(records|touched)\t%')"
"""Which rows of ``dirty`` tell of records: themselves, and the marks of a tenant behind which only records wait."""
