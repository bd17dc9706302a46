"""Asking for an erasure, and reading how it went. What is asked for is done by the owners of the person's shards."""

import secrets
from typing import Final

from schemas.erasures import ANONYMISE, PERSON_MARK
from schemas.mails import MAIL_MARK
from schemas.topics import person_key, shard_of
from services.postgres import Connection, Row

_MARK: Final = PERSON_MARK.format(tenant="$1", user="i")
_KNOWN: Final = """
select exists (select from person where tenant = $1 and user_id = $2)
  or exists (select from person_day where tenant = $1 and user_id = $2)
  or exists (select from identity_day where tenant = $1 and user_id = $2)
  or exists (select from person_link where tenant = $1 and (identity = $2 or user_id = $2))
"""
_MAIL: Final = MAIL_MARK.format(tenant="p.tenant", mail="p.email")
_SAME_MAIL: Final = MAIL_MARK.format(tenant="o.tenant", mail="o.email")
_NOBODY_ELSE: Final = """
  not exists (select from person x where x.tenant = $1 and x.user_id = {identity})
  and not exists (select from alias a where a.tenant = $1 and a.identity = {identity} and not a.user_id in (
    select identity from linked))
"""
# Also those that nobody has looked at yet: seen with an e-mail that nobody else has, or the key of another system.
_IDENTITIES: Final = f"""
with linked as (
  select $2 as identity
  union select identity from person_link where tenant = $1 and user_id = $2
  union select identity from alias where tenant = $1 and user_id = $2
), mine as (select p.* from person p where p.tenant = $1 and p.user_id in (select identity from linked))
select identity from linked
union select p.external_id from mine p where p.external_id <> '' and {_NOBODY_ELSE.format(identity="p.external_id")}
union select s.identity from mine p join sighting s on s.tenant = p.tenant and s.mark = {_MAIL}
where {_NOBODY_ELSE.format(identity="s.identity")}
  and not exists (select from person o where o.tenant = $1 and {_SAME_MAIL} = s.mark
    and not o.user_id in (select identity from linked))
  and (select count(*) from sighting m where m.tenant = $1 and m.identity = s.identity) <= $3
order by 1
"""
_MAILS: Final = f"""
select distinct 'mailto:' || lower(btrim(p.email)) as mail from person p
where p.tenant = $1 and p.user_id = any($2) and p.email <> '' and not exists (
  select from person o where o.tenant = $1 and {_SAME_MAIL} = {_MAIL} and not o.user_id = any($2))
"""
MOST_MAILS: Final = 8
"""An identity seen with more is shared by many people, and none of them."""


async def alone(connection: Connection, tenant: str) -> None:
    """Let nobody write the tenant's directory meanwhile."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('directory' || chr(10) || $1, 0))", tenant)


async def running(connection: Connection, tenant: str, user: str) -> int | None:
    """Return the erasure that ``user`` is part of and that is not finished."""
    sql = "select erasure from erasing where tenant = $1 and identity = $2 limit 1"
    found: int | None = await connection.fetchval(sql, tenant, user)
    return found


async def known(connection: Connection, tenant: str, user: str) -> bool:
    """Tell whether anything is known of ``user``."""
    return bool(await connection.fetchval(_KNOWN, tenant, user))


async def counts_for(connection: Connection, tenant: str, user: str) -> str | None:
    """Return the other person that ``user`` counts for."""
    sql = "select user_id from person_link where tenant = $1 and identity = $2 and user_id <> $2"
    found: str | None = await connection.fetchval(sql, tenant, user)
    return found


async def ask(connection: Connection, tenant: str, user: str, *, mode: str, actor: str, shards: int) -> int:
    """Queue the erasure of a person with all identities; return its id."""
    identities = [row["identity"] for row in await connection.fetch(_IDENTITIES, tenant, user, MOST_MAILS)]
    mails = [row["mail"] for row in await connection.fetch(_MAILS, tenant, identities)]
    number: int = await connection.fetchval(
        f"""insert into erasure (tenant, subject, mode, actor)
            select $1, encode({_MARK}, 'hex'), $3, $4 from (values ($2)) as given (i) returning id""",
        tenant,
        user,
        mode,
        actor,
    )
    homes = [shard_of(person_key(tenant, identity), shards) for identity in identities]
    stand_in = _stand_in(tenant, mode, shard_of(person_key(tenant, user), shards), shards)
    await connection.execute(
        """insert into erasing (erasure, tenant, identity, shard, main, stand_in)
           select $1, $2, i, s, i = $5, $6 from unnest($3::text[], $4::smallint[]) as given (i, s)""",
        number,
        tenant,
        identities,
        homes,
        user,
        stand_in,
    )
    await connection.execute(
        f"""insert into erased (tenant, mark, erasure) select $1, {_MARK}, $3 from unnest($2::text[]) as i
            on conflict do nothing""",
        tenant,
        [*identities, *mails],
        number,
    )
    await connection.execute(
        """insert into directory_change (tenant, user_id, shard)
           select $1, i, s from unnest($2::text[], $3::smallint[]) as given (i, s)""",
        tenant,
        identities,
        homes,
    )
    return number


def _stand_in(tenant: str, mode: str, home: int, shards: int) -> str:
    """Return a random name; a person that counts under it has to live on the same shard."""
    if mode != ANONYMISE:
        return f"erased-{secrets.token_hex(6)}"
    while True:
        name = f"anonymous-{secrets.token_hex(6)}"
        if shard_of(person_key(tenant, name), shards) == home:
            return name


async def find(connection: Connection, tenant: str, number: int) -> Row | None:
    """Return an erasure."""
    return await connection.fetchrow(
        """select id, mode, actor, asked_at, finished_at, report from erasure where tenant = $1 and id = $2""",
        tenant,
        number,
    )


async def returning(connection: Connection, tenant: str, users: list[str]) -> set[str]:
    """Return which of ``users`` were erased: they are not to come back."""
    rows = await connection.fetch(
        f"""select i from unnest($2::text[]) as i
            where exists (select from erased e where e.tenant = $1 and e.mark = {_MARK})""",
        tenant,
        users,
    )
    return {row["i"] for row in rows}
