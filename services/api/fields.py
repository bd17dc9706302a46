"""``/v1/field-registry``: what the CRM calls its records and fields, and which of them a decision needs.

Ingest reads it: of a field's value only its state and the typed facts declared here leave ingest.
"""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from schemas.fields import DEFAULT, FieldRegistry
from services.api.auth import Manager, Reader
from services.api.shapes import Given, Label, Shown, example, reply
from services.api.store import fields as store
from services.api.store.sessions import reading, writing

router = APIRouter(prefix="/v1/field-registry", tags=["directory"])

Names = Annotated[list[Label], Field(max_length=200)]


class ObjectGiven(Given):
    """One kind of record: its names in the CRM, the fields that are typed facts, and those that a decision needs."""

    names: Names = Field(default_factory=list)
    stage: Names = Field(default_factory=list)
    owner: Names = Field(default_factory=list)
    close_date: Names = Field(default_factory=list)
    decision: Names = Field(default_factory=list)
    due_stage: Label | None = None


class RegistryGiven(Given):
    """The objects of a tenant by name, and the texts that fill a field without saying anything."""

    objects: Annotated[dict[Label, ObjectGiven], Field(max_length=200)]
    placeholders: Names = Field(default_factory=list)


class RegistryShown(Shown):
    """A field registry. ``default``: the tenant has none of its own."""

    objects: dict[str, ObjectGiven]
    placeholders: list[str]
    default: bool


GIVEN: Final[dict[str, Any]] = {
    "objects": {
        "opportunity": {
            "names": ["Opportunity", "deal"],
            "stage": ["StageName"],
            "owner": ["OwnerId"],
            "close_date": ["CloseDate"],
            "decision": ["Amount", "CloseDate"],
            "due_stage": "Negotiation",
        }
    },
    "placeholders": ["to be checked"],
}
SHOWN: Final = {**GIVEN, "default": False}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}


def shown(registry: FieldRegistry, *, default: bool) -> dict[str, Any]:
    """Return a registry as JSON shows it."""
    return {**msgspec.to_builtins(registry), "default": default}


@router.get("", response_model=RegistryShown, responses=example(SHOWN))
async def show(caller: Reader) -> Response:
    """Show the field registry of the tenant."""
    async with reading(caller.pool) as connection:
        kept = await store.find(connection, caller.tenant.id)
    registry = DEFAULT if kept is None else msgspec.convert(kept, FieldRegistry)
    return reply(shown(registry, default=kept is None))


@router.put("", response_model=RegistryShown, responses=example(SHOWN), openapi_extra=_BODY)
async def replace(body: RegistryGiven, caller: Manager) -> Response:
    """Replace the field registry. It holds for what arrives from now on."""
    registry = msgspec.convert(body.model_dump(), FieldRegistry)
    async with writing(caller.pool) as connection:
        await store.keep(connection, caller.tenant.id, msgspec.to_builtins(registry))
    return reply(shown(registry, default=False))


@router.delete("", status_code=204, responses={204: {"description": "The default holds again."}})
async def reset(caller: Manager) -> Response:
    """Take the tenant's own registry away: the default holds again."""
    async with writing(caller.pool) as connection:
        await store.keep(connection, caller.tenant.id, None)
    return Response(status_code=204)
