"""What identity providers say of people, and the groups they keep.

Changes are made under the lock that also an import of the directory takes (``store.directory.alone``), so two at once
follow each other and none is lost.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from services.api.licences import Licence
from services.api.scim.mapping import Rules
from services.api.scim.resources import Person
from services.api.store import directory
from services.postgres import Connection, Row

CHUNK: Final = 2000
_LICENCES: Final = """from licence l where l.tenant = person.tenant and l.user_id = person.user_id
    order by licensed_from"""
_PERSON: Final = f"""user_id, scim_id, user_name, external_id, name, email, (
        select m.kind from membership m where m.tenant = person.tenant and m.user_id = person.user_id
        order by m.valid_from desc limit 1
    ) as kind, array(select licensed_from {_LICENCES}),
    array(select licensed_to {_LICENCES}), array(select price {_LICENCES}), scim, created_at, updated_at"""
_FOUND_BY: Final = {
    "userName": "lower(coalesce(user_name, user_id)) = lower($2)",
    "externalId": "external_id = $2",
    "id": "scim_id = $2",
    "emails": """(lower(email) = lower($2) or exists (
        select from jsonb_array_elements(scim -> 'emails') entry where lower(entry ->> 'value') = lower($2)))""",
}
"""By which attributes a User is found without looking at all of them."""


def _person(row: Row) -> Person:
    user, scim_id, user_name, external_id, name, email, kind, starts, ends, prices, *rest = row
    licences = tuple(map(Licence, starts, ends, prices))
    return Person(user, scim_id, user_name, external_id, name, email, kind or "human", licences, *rest)


async def alone(connection: Connection, tenant: str) -> None:
    """Take the lock of the directory.

    An import plans every statement anew; here that would also plan each check of a foreign key, row by row.
    """
    await directory.alone(connection, tenant)
    await connection.execute("set local plan_cache_mode = auto")


async def count(connection: Connection, tenant: str) -> int:
    """Return the number of Users."""
    return int(
        await connection.fetchval("select count(*) from person where tenant = $1 and scim_id is not null", tenant)
    )


async def page(connection: Connection, tenant: str, skip: int, limit: int) -> list[Person]:
    """Return Users in order of their keys, from the one behind the first ``skip`` on."""
    rows = await connection.fetch(
        f"""select {_PERSON} from (
                select * from person where tenant = $1 and scim_id is not null order by user_id limit $2 offset $3
            ) person order by user_id""",
        tenant,
        limit,
        skip,
    )
    return [_person(row) for row in rows]


async def found_by(connection: Connection, tenant: str, attribute: str, value: str) -> list[Person]:
    """Return the Users with ``value`` for one of the attributes by which they are found."""
    rows = await connection.fetch(
        f"""select {_PERSON} from person where tenant = $1 and {_FOUND_BY[attribute]} and scim_id is not null
            order by user_id""",
        tenant,
        value,
    )
    return [_person(row) for row in rows]


async def every(connection: Connection, tenant: str) -> AsyncIterator[list[Person]]:
    """Go through all Users in order of their keys, part by part."""
    after = ""
    while True:
        rows = await connection.fetch(
            f"""select {_PERSON} from person where tenant = $1 and user_id > $2 and scim_id is not null
                order by user_id limit $3""",
            tenant,
            after,
            CHUNK,
        )
        yield [_person(row) for row in rows]
        if len(rows) < CHUNK:
            return
        after = rows[-1]["user_id"]


async def find(connection: Connection, tenant: str, scim_id: str) -> Person | None:
    """Return one User."""
    row = await connection.fetchrow(f"select {_PERSON} from person where tenant = $1 and scim_id = $2", tenant, scim_id)
    return _person(row) if row else None


async def name_is_taken(connection: Connection, tenant: str, user_name: str, but: str) -> bool:
    """Return whether a User other than the person ``but`` has this name, in whatever case."""
    return bool(
        await connection.fetchval(
            f"""select exists (select from person where tenant = $1 and {_FOUND_BY["userName"]}
                and scim_id is not null and user_id <> $3)""",
            tenant,
            user_name,
            but,
        )
    )


async def adoptable(
    connection: Connection, tenant: str, user_name: str, external_id: str | None, addresses: list[str]
) -> list[str]:
    """Return the people whom a new User may be: by name those that were deleted, else by key or address.

    Of those that a name or a key does not settle, only people of whom no identity provider has spoken yet.
    """
    by_name = await connection.fetch(
        f"select user_id from person where tenant = $1 and {_FOUND_BY['userName']} and scim_id is null order by 1",
        tenant,
        user_name,
    )
    if by_name:
        return [row["user_id"] for row in by_name[:1]]
    rows = await connection.fetch(
        """select user_id from person where tenant = $1 and scim is null
           and (external_id = $2 or lower(email) = any($3)) order by 1 limit 2""",
        tenant,
        external_id,
        [address.lower() for address in addresses],
    )
    return [row["user_id"] for row in rows]


async def revive(connection: Connection, tenant: str, user: str) -> Person:
    """Let a person be a User, also one that was deleted, and return them."""
    row = await connection.fetchrow(
        f"""update person set scim_id = coalesce(scim_id, (gen_random_uuid())::text)
            where tenant = $1 and user_id = $2 returning {_PERSON}""",
        tenant,
        user,
    )
    return _person(row)


async def keep(
    connection: Connection, tenant: str, user: str, user_name: str, external_id: str | None, resource: dict[str, Any]
) -> None:
    """Write down what an identity provider says of a person."""
    await connection.execute(
        """update person set user_name = nullif($3, user_id), external_id = $4, scim = $5, updated_at = now()
           where tenant = $1 and user_id = $2""",
        tenant,
        user,
        user_name,
        external_id,
        resource,
    )


async def forget(connection: Connection, tenant: str, user: str) -> None:
    """Let a person be no User any more; the person stays, and so does what was counted."""
    await connection.execute(
        "update person set scim_id = null, scim = null, updated_at = now() where tenant = $1 and user_id = $2",
        tenant,
        user,
    )
    await connection.execute("delete from scim_member where tenant = $1 and user_id = $2", tenant, user)


async def people(connection: Connection, tenant: str, users: Iterable[str]) -> dict[str, Person]:
    """Return people by their keys."""
    rows = await connection.fetch(
        f"select {_PERSON} from person where tenant = $1 and user_id = any($2)", tenant, list(users)
    )
    return {row["user_id"]: _person(row) for row in rows}


async def users_of(connection: Connection, tenant: str, scim_ids: Sequence[str]) -> dict[str, str]:
    """Return the keys of the Users with these ids."""
    rows = await connection.fetch(
        "select scim_id, user_id from person where tenant = $1 and scim_id = any($2)", tenant, list(scim_ids)
    )
    return {row["scim_id"]: row["user_id"] for row in rows}


async def manager(connection: Connection, tenant: str, told: str) -> str | None:
    """Return who ``told`` is: the id of a User, or a name, an address or the identity provider's own key."""
    user: str | None = await connection.fetchval(
        f"""select user_id from person where tenant = $1 and scim_id is not null
              and (scim_id = $2 or {_FOUND_BY["userName"]} or lower(email) = lower($2) or external_id = $2)
            order by scim_id = $2 desc, {_FOUND_BY["userName"]} desc, user_id limit 1""",
        tenant,
        told,
    )
    return user


async def groups_of(connection: Connection, tenant: str, users: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return id and name of the groups of each of ``users``, in the order in which they were joined."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in await connection.fetch(
        """select m.user_id, g.id, g.name from scim_member m
           join scim_group g on g.tenant = m.tenant and g.id = m.group_id
           where m.tenant = $1 and m.user_id = any($2) order by m.joined""",
        tenant,
        list(users),
    ):
        found.setdefault(row["user_id"], []).append((row["id"], row["name"]))
    return found


async def rules(connection: Connection, tenant: str) -> Rules:
    """Return how the tenant reads groups."""
    row = await connection.fetchrow("select team_prefix, role_prefix, others from scim_rules where tenant = $1", tenant)
    return Rules(*row) if row else Rules()


async def keep_rules(connection: Connection, tenant: str, given: Rules) -> None:
    """Replace how the tenant reads groups."""
    await connection.execute(
        """insert into scim_rules (tenant, team_prefix, role_prefix, others) values ($1, $2, $3, $4)
           on conflict (tenant) do update set team_prefix = $2, role_prefix = $3, others = $4""",
        tenant,
        given.team_prefix,
        given.role_prefix,
        given.others,
    )
