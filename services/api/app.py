"""The application: every resource, and the one place where errors become answers.

Whatever comes in is answered by the resource or by a documented problem; what Postgres cannot do now is a 503.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match

from services.api import (
    absences,
    administration,
    alerts,
    annotations,
    answers,
    backfills,
    backtests,
    contacts,
    dead_letters,
    deliveries,
    diagnoses,
    directory,
    erasures,
    explain,
    feed_pages,
    feeds,
    fields,
    instruments,
    keys,
    links,
    logins,
    metrics,
    people,
    privacy,
    probes,
    quality,
    rules,
    sources,
    status,
    stream,
    subscriptions,
    tenants,
    waves,
    windows,
    worklists,
)
from services.api.edge import STREAMS, Edge
from services.api.gauges import Adoption
from services.api.problems import MEDIA_TYPE, ProblemError, of_validation, unavailable
from services.api.scim import discovery as scim_discovery
from services.api.scim import groups as scim_groups
from services.api.scim import rules as scim_rules
from services.api.scim import users as scim_users
from services.api.scim.errors import answer
from services.api.streams import Streams
from services.egress import CheckUrl, checked
from services.observability import Standing
from services.postgres import OUT_OF_REACH, POISON, Pool
from services.reference import page

log = logging.getLogger(__name__)

END_SECONDS: Final = 3.0
"""How long what runs beside the requests may take to end."""
SCIM: Final = (scim_users, scim_groups, scim_discovery, scim_rules)
RESOURCES: Final = (
    tenants,
    keys,
    administration,
    sources,
    logins,
    fields,
    absences,
    quality,
    directory,
    links,
    waves,
    windows,
    metrics,
    worklists,
    explain,
    erasures,
    people,
    privacy,
    stream,
    alerts,
    diagnoses,
    feeds,
    feed_pages,
    annotations,
    answers,
    backtests,
    rules,
    subscriptions,
    deliveries,
    contacts,
    dead_letters,
    status,
    backfills,
    probes,
    *SCIM,
)
PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem (RFC 9457).",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["detail"],
                            "properties": {
                                "pointer": {"type": "string"},
                                "parameter": {"type": "string"},
                                "detail": {"type": "string"},
                            },
                        },
                    },
                },
            },
            "example": {
                "type": "about:blank",
                "title": "Not Found",
                "status": 404,
                "detail": "There is nothing here that this key may see.",
            },
        }
    },
}


def create(
    pool: Pool,
    *,
    clock: Callable[[], datetime],
    partitions: int,
    seal_key: str = "",
    ingest_url: str = "http://127.0.0.1:8081",
    links_url: str = "",
    kept_days: Mapping[str, int] | None = None,
    check_url: CheckUrl = checked,
) -> FastAPI:
    """Return the application on ``pool``.

    ``partitions``: the shards, until the installation has noted them; ``seal_key``: empty for the installation's own;
    ``ingest_url``: how CRMs reach ingest; ``links_url``: how people reach the API, empty for as they have asked;
    ``kept_days``: for how long each tier of data is kept; ``check_url``: whether deliveries may go to an address.
    """
    measured = instruments.make()
    adoption = Adoption(measured)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(adoption.keep_fresh(pool, clock)), asyncio.create_task(app.state.streams.run())]
        yield
        app.state.streams.end()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=END_SECONDS)

    app = FastAPI(
        title="Uptake",
        version="1",
        summary="Tells in time, with evidence, when people do not come to use the CRM.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        responses={"default": PROBLEM},
    )
    app.state.pool, app.state.clock, app.state.partitions = pool, clock, partitions
    app.state.seal_key, app.state.ingest_url, app.state.links_url = seal_key, ingest_url, links_url.rstrip("/")
    app.state.instruments, app.state.adoption = measured, adoption
    app.state.kept_days, app.state.check_url = kept_days or {}, check_url
    app.state.leaving, app.state.standing = asyncio.Event(), Standing(clock)
    app.state.awaited = {}
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    for resource in RESOURCES:
        for route in resource.router.routes:
            if isinstance(route, APIRoute):
                route.summary = route.description.partition(".")[0]
        app.include_router(resource.router)
    app.add_route("/docs", _docs, include_in_schema=False)
    _translate_errors(app)
    app.add_middleware(Edge, instruments=measured)
    return app


async def _docs(request: Request) -> Response:
    return HTMLResponse(await asyncio.to_thread(page, request.app.openapi()))


def _translate_errors(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    for kind in OUT_OF_REACH:
        app.add_exception_handler(kind, _of_absence)
    for kind in POISON:
        app.add_exception_handler(kind, _of_poison)
    app.add_exception_handler(Exception, _of_mistake)


async def _of_http(request: Request, error: Exception) -> Response:
    answered = answer(request.scope["path"], error)  # type: ignore[arg-type]  # registered for this kind only
    if answered.status_code == 405 and (known := _methods(request)):  # noqa: PLR2004
        answered.headers["Allow"] = ", ".join(sorted(known))  # the framework names those of the first route alone
    return answered


def _methods(request: Request) -> set[str]:
    """Return the methods that the address of ``request`` knows."""
    routes = [route for resource in RESOURCES for route in resource.router.routes if isinstance(route, APIRoute)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    found = {method for route in fitting for method in route.methods or ()}
    return found | {"HEAD"} if "GET" in found and not STREAMS.fullmatch(request.scope["path"]) else found


async def _of_validation(request: Request, error: Exception) -> Response:
    return answer(request.scope["path"], of_validation(error))  # type: ignore[arg-type]  # registered for this kind only


async def _of_absence(request: Request, error: Exception) -> Response:
    log.warning("Postgres did not answer: %s: %s", type(error).__name__, error)
    return answer(request.scope["path"], unavailable())


async def _of_poison(request: Request, error: Exception) -> Response:
    log.warning("Postgres refused a value: %s", type(error).__name__)
    return answer(request.scope["path"], ProblemError(422, "A value cannot be stored."))


async def _of_mistake(request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return answer(request.scope["path"], ProblemError(500, "The service made a mistake; it is logged."))
