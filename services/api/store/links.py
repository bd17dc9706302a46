"""Which person an identity is: what was decided, by whom, and what was found without a decision."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.postgres import Connection, Row

_FOUND: Final = "('external_id', 'email', 'ambiguous')"
_LINKS: Final = f"""
    select a.identity, nullif(a.user_id, a.identity) as "user", '[]'::jsonb as candidates,
           case when a.user_id = a.identity then 'pinned' else 'alias' end as how, a.actor as decided_by, a.decided_at
    from alias a where a.tenant = $1
    union all
    select l.identity, l.user_id, l.candidates, l.how, null, null
    from person_link l where l.tenant = $1 and l.how in {_FOUND}
      and not exists (select from alias a where a.tenant = $1 and a.identity = l.identity)
"""


async def alone(connection: Connection, tenant: str) -> None:
    """Let one change of a tenant's aliases run at a time: a chain is never made by two."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('aliases' || chr(10) || $1, 0))", tenant)


async def listed(connection: Connection, tenant: str, users: Sequence[str]) -> set[str]:
    """Return those of ``users`` who are people of the directory."""
    rows = await connection.fetch(
        "select user_id from person where tenant = $1 and user_id = any($2)", tenant, list(users)
    )
    return {row["user_id"] for row in rows}


async def decided(connection: Connection, tenant: str, identities: Sequence[str]) -> dict[str, str]:
    """Return whom each of ``identities`` was decided to be; the identity itself: nobody else."""
    rows = await connection.fetch(
        "select identity, user_id from alias where tenant = $1 and identity = any($2)", tenant, list(identities)
    )
    return {row["identity"]: row["user_id"] for row in rows}


async def followed(connection: Connection, tenant: str, users: Sequence[str]) -> set[str]:
    """Return those of ``users`` that other identities were decided to be."""
    rows = await connection.fetch(
        "select distinct user_id from alias where tenant = $1 and user_id = any($2) and identity <> user_id",
        tenant,
        list(users),
    )
    return {row["user_id"] for row in rows}


async def decide(
    connection: Connection, tenant: str, changes: Mapping[str, tuple[str | None, str | None]], actor: str
) -> None:
    """Write by identity whom it was and is decided to be (None: undecided), and who decided so."""
    if not changes:
        return
    identities = sorted(changes)
    before, after = [changes[one][0] for one in identities], [changes[one][1] for one in identities]
    await connection.execute(
        "delete from alias where tenant = $1 and identity = any($2)",
        tenant,
        [identity for identity in identities if changes[identity][1] is None],
    )
    await connection.execute(
        """insert into alias (tenant, identity, user_id, actor)
           select $1, i, u, $4 from unnest($2::text[], $3::text[]) as given (i, u) where u is not null
           on conflict (tenant, identity) do update set
               user_id = excluded.user_id, actor = excluded.actor, decided_at = now()""",
        tenant,
        identities,
        after,
        actor,
    )
    await connection.execute(
        """insert into alias_change (tenant, identity, before, after, actor)
           select $1, i, b, a, $5 from unnest($2::text[], $3::text[], $4::text[]) as given (i, b, a)""",
        tenant,
        identities,
        before,
        after,
        actor,
    )


async def page(
    connection: Connection,
    tenant: str,
    *,
    after: str,
    limit: int,
    user: str | None,
    how: str | None,
    line: list[str] | None,
) -> list[Row]:
    """Return identities in order, from the one behind ``after`` on; ``line``: only of these people."""
    rows: list[Row] = await connection.fetch(
        f"""select * from ({_LINKS}) link
            where identity > $2 and ($4::text is null or "user" = $4 or candidates ? $4)
              and ($5::text is null or how = $5) and ($6::text[] is null or "user" = any($6))
            order by identity limit $3""",
        tenant,
        after,
        limit,
        user,
        how,
        line,
    )
    return rows


async def identities(connection: Connection, tenant: str, user: str, most: int) -> list[dict[str, Any]]:
    """Return the other identities of a person, and why they are."""
    rows = await connection.fetch(
        f"""select identity, how from ({_LINKS}) link where "user" = $2 order by identity limit $3""",
        tenant,
        user,
        most,
    )
    return [dict(row) for row in rows]
