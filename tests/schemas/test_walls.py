"""The second wall between tenants, in every table: the cases are made from the tables, so a new one without fails."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Table

from schemas.tables import metadata
from services import migrate, postgres
from services.api.store.sessions import Walled, glancing, reading, writing
from services.embedded import Postgres
from services.postgres import Connection, Pool
from tests.databases import Databases

WALLED = [table.name for table in metadata.sorted_tables if "tenant" in table.columns] + ["tenant", "idempotency"]
SHARED = {"claimed", "installation", "letter_position", "log_gap", "position"}
"""Tables that belong to no tenant: identities as hashes, and how far the log was read."""
ALSO = {
    "dead_letter": {"shard": "1"},
    "person_link": {"how": "'email'"},
    "feed": {"token_hash": "gen_random_uuid()::text::bytea"},
    "delivery_attempt": {"delivery": "(select coalesce(max(delivery), 0) + 1 from delivery_attempt)"},
}
"""What a check of the table wants, or a key across tenants."""
ROWS = {"tenant": ("id", "{0}"), "idempotency": ("scope", "key/waves/{0}")}


VALUES = {
    "ARRAY": "'{}'",
    "Boolean": "true",
    "Date": "'2026-03-01'",
    "DateTime": "'2026-03-01'",
    "JSONB": "'{}'",
    "LargeBinary": "'x'",
    "Uuid": "gen_random_uuid()",
}
"""By the kind of a column: a value, as SQL text, that it takes; numbers are 1."""


async def fill(connection: Connection, table: Table, tenant: str) -> None:
    """Insert a row of ``tenant``, whatever other columns hold."""
    name, value = ROWS.get(table.name, ("tenant", "{0}"))
    needed = [it.name for it in table.columns if not it.nullable and it.server_default is None and it.identity is None]
    values = {it: VALUES.get(type(table.columns[it].type).__name__, "1") for it in needed}
    values |= {it: f"'{tenant}'" for it in needed if type(table.columns[it].type).__name__ == "Text"}
    values[name] = f"'{value.format(tenant)}'"
    values |= ALSO.get(table.name, {})
    columns, given = ", ".join(map('"{}"'.format, values)), ", ".join(values.values())
    await connection.execute(f"insert into {table.name} ({columns}) values ({given}) on conflict do nothing")


@pytest.fixture(scope="module")
async def wall(postgres_server: Postgres, databases: Databases) -> AsyncIterator[Pool]:
    """A database with a row of each of two tenants in every table."""
    name = await databases.lend()
    pool = await postgres.connect_pool(postgres_server.url(name), name="tests")
    try:
        async with postgres.transaction(pool) as tx:
            await tx.execute("set local session_replication_role = replica")
            await tx.execute("create table activity_20260301 partition of activity default")
            for table in (metadata.tables[name] for name in WALLED):
                for tenant in ("acme", "other"):
                    await fill(tx, table, tenant)
        yield pool
    finally:
        await postgres.close_pool(pool)
        await databases.take_back(name)


def test_every_table_belongs_to_tenants_or_is_known_to_belong_to_none() -> None:
    assert set(metadata.tables) == {*WALLED, *SHARED}


@pytest.mark.parametrize("table", WALLED)
async def test_a_session_sees_and_writes_the_rows_of_its_tenant_alone(wall: Pool, table: str) -> None:
    name, value = ROWS.get(table, ("tenant", "{0}"))
    async with wall.acquire() as connection:
        assert await connection.fetchval(f"select count(distinct {name}) from {table}") == 2

    async with reading(Walled(wall, "acme")) as tx:
        assert [row[0] for row in await tx.fetch(f"select distinct {name} from {table}")] == [value.format("acme")]
    for tenant in ("", "none"):
        async with reading(Walled(wall, tenant)) as tx:
            assert not await tx.fetch(f"select from {table}")
    with pytest.raises(postgres.asyncpg.InsufficientPrivilegeError):
        async with writing(Walled(wall, "acme")) as tx:
            await fill(tx, metadata.tables[table], "third")
    async with wall.acquire() as connection:
        appended = not await connection.fetchval(f"select has_table_privilege('uptake_tenant', '{table}', 'update')")
    if appended:
        return
    async with writing(Walled(wall, "acme")) as tx:
        await tx.execute("set constraints all deferred")
        assert await tx.execute(f"update {table} set {name} = {name}") == "UPDATE 1"
    with pytest.raises(postgres.asyncpg.PostgresError, match="row-level security"):
        async with writing(Walled(wall, "acme")) as tx:
            await tx.execute(f"update {table} set {name} = '{value.format('third')}'")


@pytest.mark.parametrize("table", ["access_log", "administration", "alert_change", "alias_change"])
async def test_what_was_written_down_is_not_changed_by_a_session(wall: Pool, table: str) -> None:
    for statement in (f"update {table} set tenant = tenant", f"delete from {table}", f"truncate {table}"):
        with pytest.raises(postgres.asyncpg.InsufficientPrivilegeError):
            async with writing(Walled(wall, "acme")) as tx:
                await tx.execute(statement)


async def test_without_a_tenant_nothing_is_seen_and_a_partition_never(wall: Pool) -> None:
    async with postgres.transaction(wall) as tx:
        await tx.execute("set local role uptake_tenant")
        for table in WALLED:
            assert not await tx.fetch(f"select from {table}"), table
    with pytest.raises(postgres.asyncpg.InsufficientPrivilegeError):
        async with reading(Walled(wall, "acme")) as tx:
            await tx.fetch("select from activity_20260301")


async def test_nothing_of_a_session_stays_behind(wall: Pool) -> None:
    async with reading(Walled(wall, "acme")) as tx:
        assert await tx.fetchval("select current_user") == "uptake_tenant"
    async with reading(wall) as tx:
        assert await tx.fetchval("select current_user") != "uptake_tenant"
        assert not await tx.fetchval("select current_setting('uptake.tenant', true)")
        assert await tx.fetchval("select count(*) from tenant") == 2


async def test_nothing_stays_behind_in_a_pool_that_puts_nothing_back(wall: Pool, postgres_server: Postgres) -> None:
    name = await wall.fetchval("select current_database()")
    pool = await postgres.connect_pool(postgres_server.url(name), name="tests", max_size=1, tidy=True)
    try:
        for way in (reading, writing):
            async with way(Walled(pool, "acme")) as tx:
                assert await tx.fetchval("select current_user") == "uptake_tenant"
            with pytest.raises(postgres.asyncpg.DivisionByZeroError):
                async with way(Walled(pool, "acme")) as tx:
                    await tx.execute("select 1 / 0")
            async with glancing(pool) as connection:
                assert await connection.fetchval("select count(*) from tenant") == 2
                assert not await connection.fetchval("select current_setting('uptake.tenant', true)")
                assert not connection.is_in_transaction()
    finally:
        await postgres.close_pool(pool)


@pytest.mark.parametrize("tenant", ["acme", "o'neil", "'; drop table tenant; --", "a\\'b"])
async def test_a_session_is_set_to_its_tenant_whatever_that_is_called(wall: Pool, tenant: str) -> None:
    for way in (reading, writing):
        async with way(Walled(wall, tenant)) as tx:
            assert await tx.fetchval("select current_setting('uptake.tenant')") == tenant


async def test_what_reads_writes_nothing(wall: Pool) -> None:
    with pytest.raises(postgres.asyncpg.ReadOnlySQLTransactionError):
        async with reading(Walled(wall, "acme")) as tx:
            await tx.execute("update tenant set name = 'x'")


async def test_an_account_that_may_make_no_roles_migrates_and_works(databases: Databases, empty_database: str) -> None:
    name = empty_database.rpartition("/")[2]
    await databases.run("create role plain login")
    pool = None
    try:
        await databases.run(f"alter database {name} owner to plain")
        url = empty_database.replace("//uptake@", "//plain@")
        await migrate.upgrade(url)
        pool = await postgres.connect_pool(url, name="tests")
        async with writing(Walled(pool, "acme")) as tx:
            assert await tx.fetchval("select current_user") == "plain"
            await tx.execute("insert into tenant (id, name) values ('acme', 'Acme')")
    finally:
        if pool is not None:
            await postgres.close_pool(pool)
        await databases.run(f"alter database {name} owner to uptake")
        connection = await postgres.connect(empty_database, name="tests")
        await connection.execute("drop owned by plain")
        await connection.close()
        await databases.run("drop role plain")
