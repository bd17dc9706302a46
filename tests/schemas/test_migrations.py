import asyncio

import pytest
from alembic import command

from services import migrate, postgres
from services.embedded import Postgres


async def test_the_migrations_make_exactly_the_tables(database: str) -> None:
    await migrate.check(database)

    assert await migrate.current(database) == migrate.head()


async def test_two_places_may_migrate_at_once_and_again(empty_database: str) -> None:
    assert await migrate.current(empty_database) is None

    await asyncio.gather(*(migrate.upgrade(empty_database) for _ in range(3)))
    await migrate.upgrade(empty_database)

    assert await migrate.current(empty_database) == migrate.head()


async def test_an_installation_that_knew_logins_knows_their_sources_afterwards(empty_database: str) -> None:
    await migrate._on(empty_database, lambda config: command.upgrade(config, "0001"))  # noqa: SLF001 - nobody else stops there
    connection = await postgres.connect(empty_database, name="tests")
    await connection.execute(
        """insert into person_day (tenant, user_id, day, events, first_at, last_at, last_login_at) values
           ('acme', 'ada', '2026-03-02', 1, '2026-03-02 09:00Z', '2026-03-02 09:00Z', '2026-03-02 09:00Z'),
           ('none', 'ada', '2026-03-02', 1, '2026-03-02 09:00Z', '2026-03-02 09:00Z', null)"""
    )
    await connection.execute(
        """insert into source_seen (tenant, source, shard, last_event_at) values
           ('acme', 'crm', 0, '2026-03-03 09:00Z'), ('acme', 'old', 0, '2026-03-01 09:00Z'),
           ('none', 'crm', 0, '2026-03-03 09:00Z')"""
    )
    await migrate.upgrade(empty_database)

    rows = await connection.fetch("select last_login_at from source_seen order by tenant, source")
    await connection.close()
    assert [row["last_login_at"] and row["last_login_at"].day for row in rows] == [2, 1, None]


@pytest.mark.parametrize(
    "statement",
    ["update alert_change set actor = 'x'", "delete from alert_change", "truncate alert_change"],
    ids=["an update is refused", "a deletion is refused", "a truncation is refused"],
)
async def test_the_history_of_alerts_is_append_only(pool: postgres.Pool, statement: str) -> None:
    await pool.execute(
        "insert into alert_change (tenant, alert, kind, state, actor, as_of, body) "
        "values ('acme', 'a', 'opened', 'open', 'evaluator', now(), '{}')"
    )

    with pytest.raises(postgres.DATABASE_ERRORS, match="alert_change is append-only"):
        await pool.execute(statement)


async def test_a_killed_server_comes_back_on_its_port_with_its_data(own_postgres: Postgres) -> None:
    connection = await postgres.connect(own_postgres.url(), name="tests")
    await connection.execute("insert into installation values ('shards', '7')")

    own_postgres.kill()
    own_postgres.start()

    connection = await postgres.connect(own_postgres.url(), name="tests")
    assert await connection.fetchval("select value from installation where name = 'shards'") == "7"
    await connection.close()
