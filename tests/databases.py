"""Fresh databases for a twentieth of their price: the tables that a test has used are truncated, and it is lent again.

Partitions, which come with the days of events, go. Tenants are deleted: nearly every table refers to theirs, and would
be truncated with it.

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
CONTENT = "select array(select row::text from {} as row)"
ADDED = "delete from {} as row where row::text <> all($1)"
OTHERS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
DELETE = ("delete from tenant", "vacuum tenant")
UNCOUNTED = "update pg_class set relpages = 0, reltuples = -1, relallvisible = 0 where oid = 'tenant'::regclass"
FORGET = "delete from pg_statistic using pg_class where starelid = oid and relnamespace = 'public'::regnamespace"


class Databases:
    """Databases of one server, each lent to one test at a time."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._seeds: dict[str, list[str]] = {}
        self._ways: dict[str, Connection] = {}

    async def prepare(self) -> None:
        """Make the template."""
        await self.run(f"create database {TEMPLATE}")
        await migrate.upgrade(self._server.url(TEMPLATE))
        connection = await postgres.connect(self._server.url(TEMPLATE), name="tests")
        try:
            tables = [row[0] for row in await connection.fetch(TABLES)]
            found = {name: await connection.fetchval(CONTENT.format(name)) for name in tables}
            self._seeds = {name: content for name, content in found.items() if content}
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
        if name not in self._ways:
            self._ways[name] = await postgres.connect(self._server.url(name), name="tests")
        if await self._empty(self._ways[name]):
            self._free.append(name)
        else:
            await self._ways.pop(name).close()
            await self.run(f"drop database {name} with (force)")

    async def close(self) -> None:
        """Leave the server."""
        for way in self._ways.values():
            await way.close()

    async def run(self, statement: str) -> None:
        """Run a statement that stands above databases."""
        connection = await postgres.connect(self._server.url("postgres"), name="tests")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _empty(self, way: Connection) -> bool:
        if not await _alone(way):
            return False
        for table, content in self._seeds.items():
            await way.execute(ADDED.format(table), content)
            if len(await way.fetchval(CONTENT.format(table))) != len(content):
                return False
        while days := [row[0] for row in await way.fetch(PARTITIONS)]:
            await way.execute(f"drop table {', '.join(days)}")
        if used := {row[0] for row in await way.fetch(USED)} - self._seeds.keys():
            await way.execute("set session_replication_role = replica")  # history may not be truncated else
            if truncated := sorted(used - {"tenant"}):
                await way.execute(f"truncate {', '.join(truncated)} restart identity cascade")
            for statement in (*DELETE, UNCOUNTED, FORGET):
                await way.execute(statement)
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
