import asyncio

import pytest

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
