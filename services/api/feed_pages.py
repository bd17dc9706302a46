"""``/feeds/{token}/...``: the alerts behind a feed, as Atom, JSON Feed, iCalendar or a stream.

The token is all that opens it, so it stands in no log. Unknown, revoked and outlived feeds are the same 404.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from schemas.alerts import item
from services.api.days import local_day
from services.api.feed_calendar import calendar, of_annotations, of_plans, of_waves
from services.api.feed_formats import Channel, atom, json_feed
from services.api.feeds import outside
from services.api.problems import not_found
from services.api.shapes import LAST_DAY
from services.api.store import annotations, keys, tenants
from services.api.store import feeds as store
from services.api.store import waves as wave_store
from services.api.store.feeds import RECENT, Feed
from services.api.store.people import log_accesses, names
from services.api.store.sessions import Walled, glancing, writing
from services.api.store.tenants import Tenant
from services.api.stream import RESPONSES as STREAMED
from services.api.stream import follow, last_seen
from services.api.streams import Reader, wanted
from services.metrics.baselines import nth_working_day
from services.metrics.policy import policy_of
from services.postgres import Connection
from services.sight import curtain_of, named, sees, told

router = APIRouter(prefix="/feeds/{token}", tags=["alerts"])

MOST: Final = 100
MOST_NOTED: Final = 10_000
DAY: Final = timedelta(days=1)
READ: Final = 500
"""So many alerts are looked at for ``MOST`` that may be seen."""
NO_STORE: Final = {"Cache-Control": "private, no-cache", "Access-Control-Allow-Origin": "*"}
ATOM_SHOWN: Final = '<feed xmlns="http://www.w3.org/2005/Atom"><title>Adoption alerts of Acme</title></feed>'
JSON_SHOWN: Final = {"version": "https://jsonfeed.org/version/1.1", "title": "Adoption alerts of Acme", "items": []}
CALENDAR_SHOWN: Final = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"
Token = Annotated[str, Path(min_length=16, max_length=512, description="What opens the feed.")]


def _of(kind: str, shown: object) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI shows as the answer of an operation."""
    schema = {"type": "object" if kind.endswith("json") else "string"}
    return {200: {"content": {kind: {"schema": schema, "example": shown}}}}


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a feed shows."""

    feed: Feed
    tenant: Tenant
    alerts: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    changed: dict[str, datetime] = field(default_factory=dict)
    today: date = date.min

    def channel(self, request: Request) -> Channel:
        """Return what the feed is called."""
        return Channel(
            f"urn:uptake:feed:{self.tenant.id}:{self.feed.id}",
            f"Adoption alerts of {self.tenant.name}",
            f"{outside(request)}{request.url.path}",
            self.tenant.created_at,
            self.names,
            self.changed,
        )


async def _reader(request: Request, token: str) -> Reader:
    """Return who reads by ``token``.

    Raises:
        ProblemError: nobody does.
    """
    async with glancing(request.app.state.pool) as connection:
        feed = await store.find(connection, token)
        if feed is None:
            raise not_found()
        _, tenant = await keys.find_in(connection, feed.key_id, feed.tenant)
        if tenant is None:
            raise not_found()
        reader = Reader(tenant, feed.key_id, feed.person, feed.filter, "/feeds", feed.id)
        if not await request.app.state.streams.renew(connection, reader):
            raise not_found()
    return reader


async def _shelf(request: Request, token: str) -> tuple[Shelf, Reader]:
    reader = await _reader(request, token)
    tenant, now = reader.tenant, request.app.state.clock()
    async with writing(Walled(request.app.state.pool, tenant.id)) as connection:
        moment = await tenants.now_of(connection, tenant, now) or now
        alerts = await _alerts(connection, reader, moment)
        people = sorted(set().union(*map(named, alerts)))
        await log_accesses(connection, tenant.id, reader.key_id, reader.route, people)
        called = await names(connection, tenant.id, people)
        changed = await store.changed(connection, tenant.id, [alert["id"] for alert in alerts])
    feed = Feed(tenant.id, reader.feed or "", reader.key_id, reader.person, dict(reader.wanted))
    changed = {alert["id"]: changed.get(alert["id"], alert["updated_at"]) for alert in alerts}
    return Shelf(feed, tenant, alerts, called, changed, local_day(moment, tenant.time_zone)), reader


async def _alerts(connection: Connection, reader: Reader, now: datetime) -> list[dict[str, Any]]:
    rows = await store.latest(connection, reader.tenant.id, now - RECENT, reader.view, READ)
    bodies = [body for body in map(item, rows) if wanted("", body, reader.wanted)]
    curtain = await curtain_of(connection, reader.tenant, bodies)
    seen = [body for body in bodies if sees(reader.view, body, curtain)][:MOST]
    return [told(body, curtain, individuals=reader.view.individuals) for body in seen]


@router.get("/alerts.atom", response_class=Response, responses=_of("application/atom+xml", ATOM_SHOWN))
async def show_atom(request: Request, token: Token) -> Response:
    """Show the newest changes as an Atom feed."""
    shelf, _ = await _shelf(request, token)
    channel = shelf.channel(request)
    return _page(atom(channel, shelf.alerts), "application/atom+xml", channel.updated)


@router.get("/alerts.json", response_class=Response, responses=_of("application/feed+json", JSON_SHOWN))
async def show_json(request: Request, token: Token) -> Response:
    """Show the newest changes as a JSON Feed."""
    shelf, _ = await _shelf(request, token)
    channel = shelf.channel(request)
    return _page(msgspec.json.encode(json_feed(channel, shelf.alerts)), "application/feed+json", channel.updated)


@router.get("/alerts.ics", response_class=Response, responses=_of("text/calendar", CALENDAR_SHOWN))
async def show_calendar(request: Request, token: Token) -> Response:
    """Show go-lives, checkpoints, agreed dates and annotations as a calendar."""
    shelf, reader = await _shelf(request, token)
    tenant, since = shelf.tenant, shelf.today - RECENT
    async with writing(Walled(request.app.state.pool, tenant.id)) as connection:
        every = await wave_store.every(connection, tenant.id)
        noted = await annotations.between(connection, tenant.id, since + DAY, LAST_DAY, (date.min, ""), MOST_NOTED)
    entries = [
        *of_waves(tenant.id, [row for row in every if row["go_live"] > since], _counting(tenant)),
        *of_plans(tenant.id, shelf.alerts, shelf.names),
        *of_annotations(tenant.id, [each for each in noted if _concerns(reader, each)]),
    ]
    changed = max((entry.changed for entry in entries), default=tenant.created_at)
    return _page(calendar(f"Adoption of {tenant.name}", entries), "text/calendar", changed)


@router.get("/alerts.stream", response_class=Response, responses=STREAMED)
async def stream(
    request: Request,
    token: Token,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
    after: Annotated[str | None, Query(max_length=32)] = None,
) -> StreamingResponse:
    """Follow the changes as server-sent events: what a browser's EventSource reads."""
    reader = await _reader(request, token)
    return follow(request, reader, last_seen(last_event_id, after), {"Access-Control-Allow-Origin": "*"})


def _counting(tenant: Tenant) -> Callable[[date, int], date]:
    if tenant.day_counting == "calendar":
        return lambda day, n: day + timedelta(days=n)
    policy = policy_of({name: getattr(tenant, name) for name in Tenant.__slots__}, waves=True)
    return lambda day, n: nth_working_day(day, n, policy)


def _concerns(reader: Reader, noted: Mapping[str, Any]) -> bool:
    """Tell whether an annotation is about a reader's teams, or about everybody."""
    return not noted["teams"] or reader.view.teams is None or bool(reader.view.teams & set(noted["teams"]))


def _page(body: bytes, kind: str, changed: datetime) -> Response:
    headers = {**NO_STORE, "Last-Modified": format_datetime(changed.astimezone(UTC), usegmt=True)}
    return Response(body, media_type=kind, headers=headers)
