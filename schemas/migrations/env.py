"""How alembic runs the migrations: on the connection it is given, one at a time across the cluster.

The advisory lock lets two places migrate at once: the second finds nothing left to do. No statement waits long for a
lock, so a migration never stands in the way of the services for longer than that.
"""

from typing import Final

from alembic import context
from sqlalchemy import Connection, text

from schemas.tables import metadata

LOCK: Final = 7_081_975_001
"""The advisory lock of all migrations of Uptake."""


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Tell whether a migration may touch it: the partitions of ``activity`` come and go by themselves."""
    return kind != "table" or name is None or not name.startswith("activity_")


def run(connection: Connection) -> None:
    """Run what is asked of alembic in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        include_name=_is_ours,
    )
    with context.begin_transaction():
        connection.execute(text("set local lock_timeout = '120s'"))
        connection.execute(text("set local statement_timeout = '300s'"))
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
        connection.execute(text("set local lock_timeout = '5s'"))
        context.run_migrations()


run(context.config.attributes["connection"])
