"""``/v1/sources/{source}/logins``: how far the logins of a source are known.

Who imports logins says up to when they are complete; only that far is anybody's absence told.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from schemas.sources import KINDS, login_hours
from services.api.auth import Collector
from services.api.problems import ProblemError, not_found
from services.api.shapes import Given, Instant, Shown, example, reply
from services.api.store import sources as store
from services.api.store import tenants
from services.api.store.sessions import reading, writing
from services.postgres import Row

router = APIRouter(prefix="/v1/sources", tags=["sources"])

TELL_LOGINS: Final = [kind.name for kind in KINDS.values() if kind.login_hours is not None]
"""The kinds of source that logins may come from."""
NEVER: Final = datetime.min.replace(tzinfo=UTC)
AHEAD: Final = timedelta(minutes=10)
"""How far in the future an instant may lie: what clocks differ by, not more."""


class LoginsChange(Given):
    """Up to when the logins of a source are complete; null: no longer declared."""

    until: Instant | None


class LoginsShown(Shown):
    """How far the logins of a source are known: ``ok``, ``stale``, or ``none`` were told yet."""

    source: str
    until: datetime | None = None
    last_login_at: datetime | None = None
    state: str


GIVEN: Final = {"until": "2026-03-06T00:00:00Z"}
SHOWN: Final = {
    "source": "hubspot-eu",
    "until": "2026-03-06T00:00:00Z",
    "last_login_at": "2026-03-05T17:41:09Z",
    "state": "ok",
}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}


def login_state(row: Row, now: datetime) -> str:
    """Return the state of a source of logins at ``now``."""
    told = max(filter(None, (row["last_login_at"], row["logins_until"])), default=None)
    if told is None:
        return "none"
    return "ok" if now <= told + timedelta(hours=login_hours(row["kind"])) else "stale"


def _shown(row: Row, now: datetime) -> dict[str, Any]:
    return {
        "source": row["id"],
        "until": row["logins_until"],
        "last_login_at": row["last_login_at"],
        "state": login_state(row, now),
    }


@router.get("/{source}/logins", response_model=LoginsShown, responses=example(SHOWN))
async def show(source: str, caller: Collector) -> Response:
    """Show how far the logins of a source are known."""
    async with reading(caller.pool) as connection:
        row = await store.logins(connection, caller.tenant.id, source)
        now = await tenants.now_of(connection, caller.tenant, caller.now) or caller.now
    if row is None:
        raise not_found()
    return reply(_shown(row, now))


@router.put("/{source}/logins", response_model=LoginsShown, responses=example(SHOWN), openapi_extra=_BODY)
async def declare(source: str, body: LoginsChange, caller: Collector) -> Response:
    """Declare up to when the logins of a source are complete. What was declared before is never taken back by it."""
    if body.until is not None and body.until > caller.now + AHEAD:
        told = [{"pointer": "/until", "detail": "must not lie in the future"}]
        raise ProblemError(422, "Logins of the future are not complete.", errors=told)
    async with writing(caller.pool) as connection:
        if not await store.declare_logins(connection, caller.tenant.id, source, body.until):
            raise not_found()
        await tenants.bump(connection, caller.tenant.id)
        await tenants.judge(connection, caller.tenant.id, launches=True)
        row = await store.logins(connection, caller.tenant.id, source)
        now = await tenants.now_of(connection, caller.tenant, caller.now) or caller.now
    return reply(_shown(row, now))
