"""``/v1/annotations``: what happened beside the numbers - a training, a change of the CRM, a cut-over.

A change may be measured from one (``baseline=annotation:<id>``), and alerts near one say so.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Manager, Reader
from services.api.once import OnceKey, once
from services.api.problems import conflict, invalid, not_found
from services.api.shapes import (
    FIRST_DAY,
    LAST_DAY,
    Cursor,
    Day,
    Given,
    Identifier,
    Label,
    Limit,
    Name,
    Shown,
    created,
    example,
    page,
    reply,
)
from services.api.store import annotations as store
from services.api.store import tenants
from services.api.store.sessions import reading, writing
from services.postgres import Row

router = APIRouter(prefix="/v1/annotations", tags=["alerts"])

Kind = Literal["go-live", "training", "crm-change", "cut-over", "reset", "other"]
Groups = Annotated[list[Label], Field(max_length=1000)]
Address = Annotated[str, Field(max_length=2000, pattern=r"^https?://[!-~]+$")]


class AnnotationChange(Given):
    """What is to be written of an annotation."""

    kind: Kind | None = None
    title: Name | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None
    teams: Groups | None = None
    roles: Groups | None = None
    url: Address | None = None


class NewAnnotation(Given):
    """An annotation to be made. Without teams and roles it concerns everybody."""

    id: Identifier
    kind: Kind
    title: Name
    starts_on: Day
    ends_on: Day | None = None
    teams: Groups = Field(default_factory=list)
    roles: Groups = Field(default_factory=list)
    url: Address | None = None


class AnnotationShown(Shown):
    """An annotation. ``ends_on``: its last day; null: it is one day."""

    id: str
    kind: str
    title: str
    starts_on: date
    ends_on: date | None = None
    teams: list[str]
    roles: list[str]
    url: str | None = None
    created_at: datetime
    updated_at: datetime


class AnnotationPage(Shown):
    """One page of annotations."""

    items: list[AnnotationShown]
    next: str | None = None


class _Place(NamedTuple):
    """One annotation of the list, by its sort key."""

    starts_on: date
    id: str


_SHOWN: Final[dict[str, Any]] = {
    "id": "new-layout",
    "kind": "crm-change",
    "title": "The page of an opportunity has a new layout",
    "starts_on": "2026-03-09",
    "ends_on": None,
    "teams": ["North"],
    "roles": [],
    "url": None,
    "created_at": "2026-03-06T08:00:00Z",
    "updated_at": "2026-03-06T08:00:00Z",
}
_GIVEN: Final = {name: _SHOWN[name] for name in ("id", "kind", "title", "starts_on", "teams")}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": _GIVEN}}}}
_CHANGED: Final = {"requestBody": {"content": {"application/json": {"example": {"ends_on": "2026-03-13"}}}}}


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in store.COLUMNS}


def _in_order(starts_on: date, ends_on: date | None) -> None:
    if ends_on is not None and ends_on < starts_on:
        raise invalid("'ends_on' must not lie before 'starts_on'.", pointer="/ends_on")


@router.post("", status_code=201, response_model=AnnotationShown, responses=example(_SHOWN, 201), openapi_extra=_BODY)
async def create(body: NewAnnotation, caller: Manager, key: OnceKey) -> Response:
    """Note what happened on a day, or on several."""
    _in_order(body.starts_on, body.ends_on)
    tenant = caller.tenant.id
    async with writing(caller.pool) as connection:

        async def make() -> dict[str, Any]:
            row = await store.insert(connection, tenant, body.model_dump(), caller.principal.key_id)
            if row is None:
                raise conflict("An annotation with this id exists.")
            await tenants.judge(connection, tenant)
            return _shown(row)

        scope = f"{caller.principal.key_id}/annotations/{tenant}"
        made = await once(connection, scope, key, body.model_dump(mode="json"), make)
    return created(made, router.prefix)


@router.get("", response_model=AnnotationPage, responses=example({"items": [_SHOWN], "next": None}))
async def show_all(
    caller: Reader,
    from_: Annotated[Day | None, Query(alias="from")] = None,
    to: Annotated[Day | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List the annotations of some days, by their first day."""
    first, last = from_ or FIRST_DAY, to or LAST_DAY
    question = cursors.mark("annotations", caller.tenant.id, first, last)
    after = cursors.decode(cursor, question, _Place) or _Place(date.min, "")
    async with reading(caller.pool) as connection:
        rows = await store.between(connection, caller.tenant.id, first, last, after, limit + 1)
    more = None
    if len(rows) > limit:
        more = cursors.encode(question, _Place(rows[limit - 1]["starts_on"], rows[limit - 1]["id"]))
    return page([_shown(row) for row in rows[:limit]], more)


@router.get("/{annotation}", response_model=AnnotationShown, responses=example(_SHOWN))
async def show(annotation: str, caller: Reader) -> Response:
    """Show one annotation."""
    async with reading(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, annotation)
    if row is None:
        raise not_found()
    return reply(_shown(row))


@router.patch("/{annotation}", response_model=AnnotationShown, responses=example(_SHOWN), openapi_extra=_CHANGED)
async def change(annotation: str, body: AnnotationChange, caller: Manager) -> Response:
    """Change an annotation. `ends_on` and `url` may be taken away by null."""
    given = body.model_dump(exclude_unset=True)
    for name in given.keys() - {"ends_on", "url"}:
        if given[name] is None:
            raise invalid(f"'{name}' must not be null.", pointer=f"/{name}")
    async with writing(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, annotation, lock=True)
        if row is None:
            raise not_found()
        after = {**_shown(row), **given}
        _in_order(after["starts_on"], after["ends_on"])
        if any(row[name] != value for name, value in given.items()):
            row = await store.change(connection, caller.tenant.id, annotation, given)
            await tenants.judge(connection, caller.tenant.id)
    return reply(_shown(row))


@router.delete("/{annotation}", status_code=204)
async def remove(annotation: str, caller: Manager) -> Response:
    """Remove an annotation."""
    async with writing(caller.pool) as connection:
        if not await store.remove(connection, caller.tenant.id, annotation):
            raise not_found()
        await tenants.judge(connection, caller.tenant.id)
    return Response(status_code=204)
