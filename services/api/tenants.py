"""``/v1/tenants``: everything belongs to one. Its clock and time zone stand fast once events were folded into days."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field, ValidationError
from starlette.responses import Response

from services.api import cursors
from services.api.auth import AdminKey, ManagingKey, Principal, ReadingKey
from services.api.days import time_zones
from services.api.once import OnceKey, once
from services.api.privacy_settings import PRIVATE, Privacy, PrivacyChange, expanded
from services.api.problems import ProblemError, conflict, not_found
from services.api.roles import ROLES, Role, Roles, kept_roles
from services.api.shapes import (
    Cursor,
    Day,
    Given,
    Identifier,
    Label,
    Limit,
    Name,
    Shown,
    Text,
    created,
    example,
    page,
    reply,
)
from services.api.store import directory, hiding
from services.api.store import tenants as store
from services.api.store.sessions import Signed, reading, writing
from services.api.store.tenants import Tenant

router = APIRouter(prefix="/v1/tenants", tags=["tenants"])

FIXED_BY_EVENTS: Final = ("time_zone", "clock")


def known_zone(name: str) -> str:
    """Return ``name`` when it names a time zone.

    Raises:
        ValueError: it names none.
    """
    if name not in time_zones():
        raise ValueError("is no time zone of the IANA database, such as Europe/Berlin")
    return name


def _distinct(values: list[Any]) -> list[Any]:
    return sorted(set(values))


WorkDays = Annotated[
    list[Annotated[int, Field(ge=1, le=7, strict=True)]], Field(min_length=1, max_length=7), AfterValidator(_distinct)
]


class Settings(Given):
    """The settings of a tenant; every one has a default."""

    name: Name | None = None
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(known_zone)] = "UTC"
    clock: Literal["wall", "event"] = "wall"
    day_counting: Literal["working", "calendar"] = "working"
    work_days: WorkDays = Field(default_factory=lambda: [1, 2, 3, 4, 5])
    holidays: Annotated[list[Day], Field(max_length=2000), AfterValidator(_distinct)] = Field(default_factory=list)
    first_day_of_week: int = Field(default=1, ge=1, le=7, strict=True)
    connected_by: Literal["activity", "login"] = "activity"
    privacy: Privacy = Field(default_factory=Privacy)
    roles: Roles = Field(default_factory=dict)
    labels: dict[Label, Text] = Field(default_factory=dict, max_length=50)


class NewTenant(Settings):
    """A tenant to be made."""

    id: Identifier


class TenantChange(Given):
    """The settings to change; what is absent stays."""

    name: Any = None
    time_zone: Any = None
    clock: Any = None
    day_counting: Any = None
    work_days: Any = None
    holidays: Any = None
    first_day_of_week: Any = None
    connected_by: Any = None
    privacy: PrivacyChange = Field(default_factory=PrivacyChange)
    roles: Any = None
    labels: Any = None


class TenantShown(Shown):
    """A tenant."""

    id: str
    name: str
    time_zone: str
    clock: str
    day_counting: str
    work_days: list[int]
    holidays: list[str]
    first_day_of_week: int
    connected_by: str
    privacy: Privacy
    roles: dict[str, Role]
    labels: dict[str, str]
    created_at: datetime
    updated_at: datetime


class TenantPage(Shown):
    """One page of tenants."""

    items: list[TenantShown]
    next: str | None = None


GIVEN: Final[dict[str, Any]] = {
    "id": "acme",
    "name": "Acme",
    "time_zone": "Europe/Berlin",
    "work_days": [1, 2, 3, 4, 5],
    "holidays": ["2026-12-25"],
    "connected_by": "activity",
    "privacy": {"min_group": 5, "individual_visibility": "manager", "instants": "exact", "retention": {}},
}
SHOWN: Final[dict[str, Any]] = {
    **GIVEN,
    "clock": "wall",
    "day_counting": "working",
    "first_day_of_week": 1,
    "roles": ROLES,
    "labels": {},
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:00Z",
}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}
_CHANGE: Final = {"requestBody": {"content": {"application/json": {"example": {"privacy": {"min_group": 8}}}}}}


def shown(tenant: Tenant) -> dict[str, Any]:
    """Return a tenant as JSON shows it."""
    return {
        "id": tenant.id,
        **{name: getattr(tenant, name) for name in store.SETTINGS if name not in PRIVATE},
        "privacy": {name: getattr(tenant, name) for name in PRIVATE},
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
    }


def _columns(settings: Settings, name: str) -> dict[str, Any]:
    values = settings.model_dump(include=set(store.SETTINGS))
    privacy = settings.privacy.model_dump(exclude={"preset"})
    kept = {what: days for what, days in privacy["retention"].items() if days is not None}
    return {**values, **privacy, "retention": kept, "roles": kept_roles(settings.roles), "name": settings.name or name}


def _visible(principal: Principal, tenant: str) -> str:
    if principal.tenant not in (None, tenant):
        raise not_found()
    return tenant


@router.post("", status_code=201, response_model=TenantShown, responses=example(SHOWN, 201), openapi_extra=_BODY)
async def create(request: Request, body: NewTenant, principal: AdminKey, key: OnceKey) -> Response:
    """Make a tenant. Every setting but the id has a default."""
    async with writing(Signed(request.app.state.pool, principal.key_id)) as connection:

        async def make() -> dict[str, Any]:
            made = await store.create(connection, body.id, _columns(body, body.id))
            if made is None:
                raise conflict("A tenant with this id exists.")
            return shown(made)

        answer = await once(connection, f"{principal.key_id}/tenants", key, body.model_dump(mode="json"), make)
    return created(answer, router.prefix)


@router.get("", response_model=TenantPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(request: Request, principal: ReadingKey, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the tenants that the key may see, by id."""
    question = cursors.mark("tenants", principal.tenant)
    after = cursors.decode(cursor, question, str) or ""
    async with reading(request.app.state.pool) as connection:
        found = await store.page(connection, after, limit + 1, principal.tenant)
    more = cursors.encode(question, found[limit - 1].id) if len(found) > limit else None
    return page([shown(tenant) for tenant in found[:limit]], more)


@router.get("/{tenant}", response_model=TenantShown, responses=example(SHOWN))
async def show(request: Request, tenant: str, principal: ReadingKey) -> Response:
    """Show one tenant."""
    async with reading(request.app.state.pool) as connection:
        found = await store.find(connection, _visible(principal, tenant))
    if found is None:
        raise not_found()
    return reply(shown(found))


@router.patch("/{tenant}", response_model=TenantShown, responses=example(SHOWN), openapi_extra=_CHANGE)
async def change(request: Request, tenant: str, body: TenantChange, principal: ManagingKey) -> Response:
    """Change settings. The clock and the time zone cannot change any more once days were counted by them."""
    async with writing(Signed(request.app.state.pool, principal.key_id)) as connection:
        present = await store.find(connection, _visible(principal, tenant), lock=True)
        if present is None:
            raise not_found()
        settings = _merged(present, body)
        moved = [name for name in FIXED_BY_EVENTS if getattr(settings, name) != getattr(present, name)]
        if moved and await store.has_events(connection, tenant):
            raise conflict(f"{' and '.join(moved)} cannot change any more: days were counted by it.")
        changed = await store.change(connection, tenant, _columns(settings, present.name))
        await store.bump(connection, tenant)
        await store.judge(connection, tenant)
        if any(getattr(changed, name) != getattr(present, name) for name in store.MEASURED_BY):
            await directory.soil_all(connection, tenant)
        if changed.min_group > present.min_group:
            await hiding.close(connection, tenant)
    return reply(shown(changed))


def _merged(present: Tenant, body: TenantChange) -> Settings:
    given = body.model_dump(exclude_unset=True)
    before = {name: value for name, value in shown(present).items() if name in Settings.model_fields}
    merged = {**before, **given, "privacy": {**before["privacy"], **expanded(given.get("privacy", {}))}}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        wrong = [
            {
                "pointer": "".join(f"/{step}" for step in found["loc"]),
                "detail": found["msg"].removeprefix("Value error, "),
            }
            for found in error.errors(include_url=False)
        ]
        raise ProblemError(422, "The request does not fit its description.", errors=wrong) from error
    if settings.name is None:
        raise ProblemError(422, "The name cannot be null.", errors=[{"pointer": "/name", "detail": "must be text"}])
    return settings
