"""The way to Postgres: the only importer of asyncpg.

Every connection carries the time-outs without which a frozen peer would hold a lock for ever.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec

log = logging.getLogger(__name__)
logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)  # it prints a traceback each second while Postgres is away

Connection: TypeAlias = Any
Pool: TypeAlias = Any
Row: TypeAlias = Any

UNAVAILABLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,
    asyncpg.UndefinedTableError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)
"""Postgres is away, busy or not promoted yet: try again; never the fault of the data."""

NOT_LET_IN: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
"""Postgres knows no such account, password or database, or closed it; somebody may be about to change that."""

OUT_OF_REACH: Final = (*UNAVAILABLE, *NOT_LET_IN)
"""What a process that runs waits out, whatever the reason."""

CONFLICT: Final = asyncpg.TransactionRollbackError
"""Another transaction came first (serialization, deadlock): begin this one again."""

POISON: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.StatementTooComplexError,
    asyncpg.ProgramLimitExceededError,
)
"""The data is at fault: trying again gives the same answer."""

DATABASE_ERRORS: Final = (asyncpg.PostgresError, *UNAVAILABLE)
UniqueViolationError = asyncpg.UniqueViolationError
CheckViolationError = asyncpg.CheckViolationError
LockNotAvailableError = asyncpg.LockNotAvailableError


_JSONB_VERSION: Final = b"\x01"
"""What stands before the text of a jsonb in binary; COPY takes nothing else."""


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=_to_json, decoder=msgspec.json.decode, format="text"
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_jsonb, decoder=_from_jsonb, format="binary"
    )


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _to_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + msgspec.json.encode(value)


def _from_jsonb(value: bytes) -> Any:  # noqa: ANN401 - whatever stands there
    return msgspec.json.decode(memoryview(value)[1:])


async def _keep(_connection: Connection) -> None:
    """Put nothing back."""


_EVERY: Final = {
    "timezone": "UTC",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Settings of every connection: soon after its machine is gone Postgres ends it, and with it whatever it held."""
IMPATIENCE: Final = {"idle_in_transaction_session_timeout": "5s", "lock_timeout": "10s"}
"""Settings of every pool: for how long somebody may hold what others wait for, and for how long they do."""


async def connect_pool(
    url: str,
    *,
    name: str,
    min_size: int = 1,
    max_size: int = 5,
    statement_seconds: float = 60.0,
    lossy: bool = False,
    tidy: bool = False,
) -> Pool:
    """Open a pool on ``url``. With a ``min_size`` of 0 it opens whether or not Postgres is there.

    ``tidy``: who uses it sets, locks and listens for no longer than a transaction, so that a connection is given back
    without asking Postgres to put everything back; an open transaction is rolled back all the same.

    ``lossy``: a crash of Postgres may take back the last commits. Only for whoever keeps its position in the same
    transaction as its effects, so that both go back together. Such a one also finds every row by its key, and must not
    go on reading a whole table because that was cheapest when the table was still empty and the plan was made.
    """
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        init=_prepare,
        reset=_keep if tidy else None,
        command_timeout=statement_seconds,
        timeout=10,
        server_settings={
            **_EVERY,
            "application_name": name,
            "jit": "off",
            **IMPATIENCE,
            "statement_timeout": str(int(statement_seconds * 1000)),
            "synchronous_commit": "off" if lossy else "on",
            "enable_seqscan": "off" if lossy else "on",
        },
    )


async def wait_for_pool(
    url: str,
    *,
    name: str,
    stop: asyncio.Event | None = None,
    told: Callable[[str], None] = lambda _reason: None,
    **options: Any,  # noqa: ANN401
) -> Pool:
    """Open a pool, waiting as long as Postgres is away (a database down at start must not end a service).

    ``told`` learns why it is.

    Raises:
        asyncio.CancelledError: ``stop`` was set before Postgres came.
    """
    pause = 0.1
    while True:
        try:
            return await connect_pool(url, name=name, **options)
        except OUT_OF_REACH as error:
            log.warning("waiting for Postgres: %s", reason(error))
            told(reason(error))
        if stop is not None and stop.is_set():
            raise asyncio.CancelledError
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def close_pool(pool: Pool, *, seconds: float = 3.0) -> None:
    """Close ``pool``, by force when it does not close in time."""
    with contextlib.suppress(TimeoutError, *DATABASE_ERRORS):
        await asyncio.wait_for(pool.close(), seconds)
        return
    pool.terminate()


@contextlib.asynccontextmanager
async def transaction(pool: Pool, **options: Any) -> AsyncIterator[Connection]:  # noqa: ANN401
    """Run the block in one transaction on one connection of ``pool``."""
    async with pool.acquire() as connection, connection.transaction(**options):
        yield connection


@contextlib.asynccontextmanager
async def aside(pool: Pool, **options: Any) -> AsyncIterator[Connection]:  # noqa: ANN401
    """Run the block in one transaction on one connection of ``pool``; whatever it writes is taken back."""
    async with pool.acquire() as connection:
        begun = connection.transaction(**options)
        await begun.start()
        try:
            yield connection
        finally:
            await begun.rollback()


async def connect(url: str, *, name: str) -> Connection:
    """Open one connection outside any pool (for an advisory lock that must last)."""
    connection = await asyncpg.connect(url, timeout=10, server_settings={**_EVERY, "application_name": name})
    await _prepare(connection)
    return connection


def certificate_of(connection: Connection) -> bytes | None:
    """Return the certificate, as DER, that Postgres showed on ``connection``; None: it is without TLS."""
    shown = connection._transport.get_extra_info("ssl_object")  # noqa: SLF001 - asyncpg has no way to ask
    return None if shown is None else shown.getpeercert(binary_form=True)


def reason(error: BaseException) -> str:
    """Return in one line why Postgres cannot be used."""
    return " ".join((getattr(error, "verify_message", "") or str(error)).split()) or type(error).__name__


async def listen(connection: Connection, channel: str, heard: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Call ``heard`` at every notification on ``channel``, for as long as ``connection`` lasts. Returns how to stop."""

    def called(*_told: object) -> None:
        heard()

    async def stop() -> None:
        if not connection.is_closed():
            await connection.remove_listener(channel, called)

    await connection.add_listener(channel, called)
    return stop
