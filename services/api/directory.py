"""``/v1/directory``: who works here, in which team and role, reporting to whom, licensed from when to when."""

from datetime import date
from email.message import Message
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.api import cursors, imports
from services.api.auth import Caller, Manager, Reader
from services.api.changes import When
from services.api.days import local_day
from services.api.people_file import people_of_csv, people_of_json
from services.api.problems import ProblemError
from services.api.shapes import Cursor, Day, Filter, Limit, Shown, example, page, reply
from services.api.store import people as store
from services.api.store import tenants
from services.api.store.sessions import reading, writing
from services.postgres import Row
from services.sight import curtain

router = APIRouter(prefix="/v1/directory", tags=["directory"])

MOST_BYTES: Final = 64 << 20


class RowProblem(Shown):
    """A row (1-based, counting people; 0 is the header) that was not taken, or a column that was left out."""

    row: int
    column: str | None = None
    reason: str


class ImportShown(Shown):
    """What an import did, or with ``dry_run`` would do."""

    created: int
    updated: int
    unchanged: int
    errors: list[RowProblem]


class DirectoryPerson(Shown):
    """A person as the directory has them today."""

    user: str
    name: str | None = None
    email: str | None = None
    role: str | None = None
    team: str | None = None
    manager: str | None = None
    licensed_from: date | None = None
    licensed_to: date | None = None
    price: float | None = None
    kind: str
    function: str | None = None
    location: str | None = None
    segment: str | None = None
    champion: bool
    leadership: bool
    opted_out: bool
    work_days: list[int] | None = None
    time_zone: str | None = None
    calendar: str | None = None
    active_from: date | None = None
    active_to: date | None = None


class DirectoryPage(Shown):
    """One page of people."""

    items: list[DirectoryPerson]
    next: str | None = None


class Group(Shown):
    """A team or role with the number of its people; null with a reason where it is hidden."""

    key: str
    people: int | None = None
    reason: str | None = None


class GroupPage(Shown):
    """One page of teams or roles."""

    items: list[Group]
    next: str | None = None


PERSON: Final[dict[str, Any]] = {
    "user": "anna",
    "name": "Anna Snelling",
    "email": "anna@acme.example",
    "role": "sales",
    "team": "North",
    "manager": "dustin",
    "licensed_from": "2026-01-05",
    "licensed_to": None,
    "price": 49.9,
    "kind": "human",
    "function": "Sales",
    "location": "Munich",
    "segment": "A",
    "champion": False,
    "leadership": False,
    "opted_out": False,
    "work_days": [1, 2, 3],
    "time_zone": "Europe/Berlin",
    "calendar": "DE-BY",
    "active_from": "2026-01-05",
    "active_to": None,
}
_CSV: Final = (
    "user,name,email,role,team,manager,licensed_from,licensed_to\nanna,Anna Snelling,,sales,North,dustin,2026-01-05,\n"
)
_DONE: Final = {
    "created": 1,
    "updated": 0,
    "unchanged": 0,
    "errors": [{"row": 2, "column": "user", "reason": "is missing"}],
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}, "example": [PERSON]},
        },
    }
}


def _media_type(request: Request) -> str:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "The body must not be compressed.")
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    kind = message.get_content_type() if "content-type" in request.headers else ""
    charset = str(message.get_param("charset", "utf-8")).lower()
    if kind not in ("text/csv", "application/json") or charset not in ("utf-8", "utf8", "us-ascii"):
        raise ProblemError(415, "People are given as text/csv or application/json, in UTF-8.")
    return kind


@router.put("/people", response_model=ImportShown, responses=example(_DONE), openapi_extra=_BODY)
async def put_people(
    request: Request,
    caller: Manager,
    effective_from: Annotated[Day | None, Query(description="Teams, roles and managers hold from this day on.")] = None,
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,  # noqa: FBT002 - a query flag
) -> Response:
    """Import people. A bad row never stops the others; columns and cells that are absent stay as they are.

    A person who is new is a member from the beginning (or from `effective_from` on). Another team, role or manager
    holds from today on (or from `effective_from` on). Rows count people from 1; row 0 is the header.
    """
    kind = _media_type(request)
    body = await request.body()
    read = people_of_csv(body) if kind == "text/csv" else people_of_json(body)
    async with writing(caller.pool) as connection:
        now = await tenants.now_of(connection, caller.tenant, caller.now)
        today = local_day(now, caller.tenant.time_zone) if now else None
        when = When(effective_from, today)
        partitions = request.app.state.partitions
        done = await imports.run(connection, caller.tenant.id, read, when=when, partitions=partitions, dry=dry_run)
    counts = {"created": done.created, "updated": done.updated, "unchanged": done.unchanged}
    return reply({**counts, "errors": done.errors})


def shown(row: Row) -> dict[str, Any]:
    """Return a person of the directory as JSON shows it."""
    told = {name: row[name] for name in DirectoryPerson.model_fields if name != "user"}
    return {"user": row["user_id"], **told, "price": None if row["price"] is None else float(row["price"])}


@router.get("/people", response_model=DirectoryPage, responses=example({"items": [PERSON], "next": None}))
async def show_people(
    caller: Reader, team: Filter = None, role: Filter = None, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """List people by id, as the directory has them today. Whom it names is written to the access log.

    Where single persons are not shown, a key that only reads sees its own person.
    """
    question = cursors.mark("people", caller.tenant.id, team, role)
    after = cursors.decode(cursor, question, str) or ""
    async with writing(caller.pool) as connection:
        day = await caller.today(connection)
        line = await caller.listed(connection)
        rows = await store.page(
            connection, caller.tenant.id, day, after=after, limit=limit + 1, team=team, role=role, line=line
        )
        shown_to = [row["user_id"] for row in rows[:limit]]
        await store.log_accesses(
            connection, caller.tenant.id, caller.principal.key_id, "/v1/directory/people", shown_to
        )
    more = cursors.encode(question, rows[limit - 1]["user_id"]) if len(rows) > limit else None
    return page([shown(row) for row in rows[:limit]], more)


_GROUPS: Final = example({"items": [{"key": "North", "people": 12}], "next": None})


@router.get("/teams", response_model=GroupPage, responses=_GROUPS)
async def show_teams(caller: Reader, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the teams of today by name."""
    return await _groups(caller, "team", cursor, limit)


@router.get("/roles", response_model=GroupPage, responses=_GROUPS)
async def show_roles(caller: Reader, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the roles of today by name."""
    return await _groups(caller, "role", cursor, limit)


async def _groups(caller: Caller, column: str, cursor: str | None, limit: int) -> Response:
    question = cursors.mark(column, caller.tenant.id)
    after = cursors.decode(cursor, question, str) or ""
    async with reading(caller.pool) as connection:
        day = await caller.today(connection)
        line = await caller.line(connection)
        rows = await store.groups(connection, caller.tenant.id, day, column, after=after, limit=limit + 1, line=line)
        hidden = await curtain(connection, caller.tenant, day, day, [(column, row["key"]) for row in rows])
    more = cursors.encode(question, rows[limit - 1]["key"]) if len(rows) > limit else None
    return page(
        [_group(row, hidden.hides((column, row["key"]), day, day, row["people"])) for row in rows[:limit]], more
    )


def _group(row: Row, hidden: bool) -> dict[str, Any]:  # noqa: FBT001 - a fact of the row
    return {"key": row["key"], "people": None, "reason": "suppressed"} if hidden else dict(row)
