"""Groups of identity providers, and who is in them. Changes are made under the lock of the directory."""

from collections.abc import Collection
from typing import Final

from services.api.scim.resources import GroupRow
from services.postgres import Connection

_GROUP: Final = "id, name, external_id, created_at, updated_at"


async def every(connection: Connection, tenant: str, name: str | None = None) -> list[GroupRow]:
    """Return the groups by name; ``name``: none but those with it, in whatever case."""
    rows = await connection.fetch(
        f"""select {_GROUP} from scim_group where tenant = $1 and ($2::text is null or lower(name) = lower($2))
            order by lower(name), id""",
        tenant,
        name,
    )
    return [GroupRow(*row) for row in rows]


async def find(connection: Connection, tenant: str, group: str) -> GroupRow | None:
    """Return one group."""
    row = await connection.fetchrow(f"select {_GROUP} from scim_group where tenant = $1 and id = $2", tenant, group)
    return GroupRow(*row) if row else None


async def name_is_taken(connection: Connection, tenant: str, name: str, but: str) -> bool:
    """Return whether a group other than ``but`` has this name, in whatever case."""
    return bool(
        await connection.fetchval(
            "select exists (select from scim_group where tenant = $1 and lower(name) = lower($2) and id <> $3)",
            tenant,
            name,
            but,
        )
    )


async def create(connection: Connection, tenant: str, name: str, external_id: str | None) -> GroupRow:
    """Insert a group without members."""
    row = await connection.fetchrow(
        f"""insert into scim_group (tenant, id, name, external_id) values ($1, (gen_random_uuid())::text, $2, $3)
            returning {_GROUP}""",
        tenant,
        name,
        external_id,
    )
    return GroupRow(*row)


async def change(
    connection: Connection,
    tenant: str,
    group: str,
    *,
    name: str,
    external_id: str | None,
    joins: Collection[str],
    leaves: Collection[str],
) -> GroupRow:
    """Change a group: its name, and the people who join and leave it."""
    await connection.execute(
        "delete from scim_member where tenant = $1 and group_id = $2 and user_id = any($3)", tenant, group, list(leaves)
    )
    await connection.execute(
        """insert into scim_member (tenant, group_id, user_id) select $1, $2, unnest($3::text[])
           on conflict do nothing""",
        tenant,
        group,
        sorted(joins),
    )
    row = await connection.fetchrow(
        f"""update scim_group set name = $3, external_id = $4, updated_at = clock_timestamp()
            where tenant = $1 and id = $2 returning {_GROUP}""",
        tenant,
        group,
        name,
        external_id,
    )
    return GroupRow(*row)


async def delete(connection: Connection, tenant: str, group: str) -> None:
    """Delete a group; its people stay."""
    await connection.execute("delete from scim_group where tenant = $1 and id = $2", tenant, group)


async def members(connection: Connection, tenant: str, group: str) -> dict[str, str]:
    """Return the members of a group in the order in which they joined: the keys of people by the ids of Users."""
    rows = await connection.fetch(
        """select p.scim_id, p.user_id from scim_member m
           join person p on p.tenant = m.tenant and p.user_id = m.user_id
           where m.tenant = $1 and m.group_id = $2 and p.scim_id is not null order by m.joined""",
        tenant,
        group,
    )
    return {row["scim_id"]: row["user_id"] for row in rows}


async def shown_members(
    connection: Connection, tenant: str, groups: Collection[str]
) -> dict[str, list[tuple[str, str]]]:
    """Return id and name of the members of each of ``groups``, in the order in which they joined."""
    found: dict[str, list[tuple[str, str]]] = {group: [] for group in groups}
    for group, scim_id, name in await connection.fetch(
        """select m.group_id, p.scim_id, coalesce(p.name, p.user_id) from scim_member m
           join person p on p.tenant = m.tenant and p.user_id = m.user_id
           where m.tenant = $1 and m.group_id = any($2) and p.scim_id is not null order by m.joined""",
        tenant,
        list(groups),
    ):
        found[group].append((scim_id, name))
    return found


async def sizes(connection: Connection, tenant: str, groups: Collection[str]) -> dict[str, int]:
    """Return how many members each of ``groups`` has; those without any are absent."""
    rows = await connection.fetch(
        "select group_id, count(*) from scim_member where tenant = $1 and group_id = any($2) group by 1",
        tenant,
        list(groups),
    )
    return {row[0]: row[1] for row in rows}


async def everyone_in_groups(connection: Connection, tenant: str) -> list[str]:
    """Return everybody who is in a group."""
    rows = await connection.fetch("select distinct user_id from scim_member where tenant = $1 order by 1", tenant)
    return [row["user_id"] for row in rows]
