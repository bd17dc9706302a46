"""Fresh databases for a twentieth of their price: the tables that a test has used are truncated, and it is lent again.

Partitions, which come with the days of events, go.

Whoever borrows one cannot tell it from a copy of the template, nor can the planner: truncating forgets the counts that
a deletion would leave. One whose first rows were changed or to which somebody clings is dropped.
"""

import asyncio
import itertools

from services import migrate, postgres
from services.embedded import Postgres
from services.postgres import Connection

TEMPLATE = "template_uptake"
RELEASE_SECONDS = 10.0

TABLES = """select oid::regclass::text from pg_class
  where relnamespace = 'public'::regnamespace and relkind = 'r' and not relispartition"""
PARTITIONS = "select inhrelid::regclass::text from pg_inherits where inhparent = 'activity'::regclass limit 200"
USED = f"{TABLES} and pg_relation_size(oid) > 0"
CONTENT = "select md5(string_agg(row::text, ',' order by row::text)) from {} as row"
OTHERS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
FORGET = "delete from pg_statistic using pg_class where starelid = oid and relnamespace = 'public'::regnamespace"


class Databases:
    """Databases of one server, each lent to one test at a time."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._seeds: dict[str, str] = {}

    async def prepare(self) -> None:
        """Make the template."""
        await self.run(f"create database {TEMPLATE}")
        await migrate.upgrade(self._server.url(TEMPLATE))
        connection = await postgres.connect(self._server.url(TEMPLATE), name="tests")
        try:
            tables = [row[0] for row in await connection.fetch(TABLES)]
            found = {name: await connection.fetchval(CONTENT.format(name)) for name in tables}
            self._seeds = {name: content for name, content in found.items() if content is not None}
        finally:
            await connection.close()

    async def lend(self) -> str:
        """Return the name of a database that is as the migrations made it."""
        if self._free:
            return self._free.pop()
        name = f"test_{next(self._numbers)}"
        await self.run(f"create database {name} template {TEMPLATE} strategy file_copy")
        return name

    async def take_back(self, name: str) -> None:
        """Empty the database ``name`` for the next test, or drop it."""
        if await self._empty(name):
            self._free.append(name)
        else:
            await self.run(f"drop database {name} with (force)")

    async def run(self, statement: str) -> None:
        """Run a statement that stands above databases."""
        connection = await postgres.connect(self._server.url("postgres"), name="tests")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _empty(self, name: str) -> bool:
        connection = await postgres.connect(self._server.url(name), name="tests")
        try:
            if not await _alone(connection):
                return False
            for table, content in self._seeds.items():
                if await connection.fetchval(CONTENT.format(table)) != content:
                    return False
            while days := [row[0] for row in await connection.fetch(PARTITIONS)]:
                await connection.execute(f"drop table {', '.join(days)}")
            if used := [row[0] for row in await connection.fetch(USED) if row[0] not in self._seeds]:
                await connection.execute("set session_replication_role = replica")  # history may not be truncated else
                await connection.execute(f"truncate {', '.join(used)} restart identity cascade")
                await connection.execute(FORGET)
        finally:
            await connection.close()
        return True


async def _alone(connection: Connection) -> bool:
    """End every other session on the database; return whether all are gone."""
    end = asyncio.get_running_loop().time() + RELEASE_SECONDS
    await connection.execute(f"select pg_terminate_backend(pid) {OTHERS}")
    while await connection.fetchval(f"select count(*) {OTHERS}"):
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True
