"""``/healthz``, ``/readyz`` and ``/metrics``.

Without a key ``/metrics`` shows what the process does; with the scope ``scrape`` also the adoption of the key's tenant
(an admin key: of all). Names of teams are nobody else's business.
"""

import asyncio
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from starlette.responses import Response

from services.api.auth import principal_of
from services.api.problems import ProblemError
from services.api.shapes import Shown, example, reply
from services.api.store.sessions import reading
from services.observability import exposition
from services.postgres import DATABASE_ERRORS, reason

router = APIRouter(tags=["probes"])


class Alive(Shown):
    """The process runs."""

    alive: bool


class Ready(Shown):
    """Whether requests can be answered, and if not, what is wrong by part."""

    ready: bool
    wrong: dict[str, str]
    since: dict[str, datetime]


_METRICS: Final = (
    '# TYPE uptake_adoption_licensed gauge\nuptake_adoption_licensed{tenant="acme",dimension="team",key="North"} 12.0\n'
)


@router.get("/healthz", response_model=Alive, responses=example({"alive": True}))
async def healthz() -> Response:
    """Say that the process runs."""
    return reply({"alive": True})


@router.get("/readyz", response_model=Ready, responses=example({"ready": True, "wrong": {}, "since": {}}))
async def readyz(request: Request) -> Response:
    """Say whether requests can be answered (503: not now)."""
    wrong = {"process": "stopping"} if request.app.state.leaving.is_set() else {}
    try:
        async with reading(request.app.state.pool) as connection:
            await connection.fetchval("select exists (select from tenant)")
    except DATABASE_ERRORS as error:
        wrong["postgres"] = reason(error)
    else:
        wrong |= request.app.state.awaited
    return reply(request.app.state.standing.told(wrong), 503 if wrong else 200)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}}}},
)
async def metrics(request: Request) -> Response:
    """Show the metrics as text or OpenMetrics; with a key of the scope `scrape` also those of adoption."""
    state = request.app.state
    registry = state.instruments.registry
    if "authorization" in request.headers:
        async with reading(state.pool) as connection:
            principal = await principal_of(request, connection)
        if not principal.may("scrape"):
            raise ProblemError(403, "This key may not do that: it needs the scope 'scrape'.")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(state.adoption.collector(state.instruments.registry, principal.tenant))
    body, kind = await asyncio.to_thread(exposition, registry, request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": kind})
