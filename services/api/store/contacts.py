"""Who stands behind the roles of audiences that no directory tells."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from services.postgres import Connection

_REACHED: Final = """
select p.user_id, nullif(trim(p.email), '') is not null as reached from person p
where p.tenant = $1 and p.user_id = any($2)
"""


async def all_contacts(connection: Connection, tenant: str) -> dict[str, list[tuple[str, str]]]:
    """Return (kind, address) by role."""
    rows = await connection.fetch(
        "select role, kind, address from contact where tenant = $1 order by role, address", tenant
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for role, kind, address in rows:
        found.setdefault(role, []).append((kind, address))
    return found


async def reached(connection: Connection, tenant: str, people: Collection[str]) -> dict[str, bool]:
    """Return which of ``people`` the directory knows, and whether it knows an address of theirs."""
    return {row[0]: row[1] for row in await connection.fetch(_REACHED, tenant, sorted(people))}


async def replace(connection: Connection, tenant: str, contacts: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Let ``contacts`` stand in place of all there are."""
    await connection.execute("delete from contact where tenant = $1", tenant)
    await connection.executemany(
        "insert into contact (tenant, role, kind, address) values ($1, $2, $3, $4)",
        [(tenant, role, kind, address) for role, some in contacts.items() for kind, address in some],
    )
