"""Changes of alerts in the order they were committed in, for readers who follow them."""

from typing import Any, NamedTuple

from services.postgres import Connection


class News(NamedTuple):
    """A change of an alert, and the alert after it as it is published."""

    seq: int
    kind: str
    body: dict[str, Any]


async def newest(connection: Connection, tenant: str) -> int:
    """Return the number of the last change of the tenant; 0: there is none."""
    found: int = await connection.fetchval("select coalesce(max(seq), 0) from alert_change where tenant = $1", tenant)
    return found


async def after(connection: Connection, tenant: str, seq: int, until: int | None, most: int) -> list[News]:
    """Return at most so many changes behind ``seq``, none behind ``until``."""
    rows = await connection.fetch(
        """select seq, kind, body from alert_change
           where tenant = $1 and seq > $2 and seq <= coalesce($3, 9223372036854775807) order by seq limit $4""",
        tenant,
        seq,
        until,
        most,
    )
    return [News(*row) for row in rows]


async def ahead(connection: Connection, seqs: dict[str, int]) -> list[str]:
    """Return the tenants with changes behind the number given for each."""
    rows = await connection.fetch(
        """select tenant from unnest($1::text[], $2::bigint[]) as known (tenant, seq)
           where exists (select from alert_change c where c.tenant = known.tenant and c.seq > known.seq)""",
        list(seqs),
        list(seqs.values()),
    )
    return [row["tenant"] for row in rows]


async def log(connection: Connection, tenant: str, accesses: list[tuple[str, str, str]]) -> None:
    """Write down who (key and route) was told of whom by name."""
    if accesses:
        keys, routes, people = zip(*accesses, strict=True)
        await connection.execute(
            """insert into access_log (tenant, key_id, route, subject)
               select $1, * from unnest($2::text[], $3::text[], $4::text[])""",
            tenant,
            list(keys),
            list(routes),
            list(people),
        )
