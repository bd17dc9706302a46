"""``/v1/field-registry``: what the CRM calls its records and fields, which of them a decision needs, and from when on.

Ingest reads it: of a field's value only its state and the typed facts declared here leave ingest. Whoever measures
reads it: the numbers of records, of all weeks, follow the registry as it is now.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from schemas.field_checks import LONGEST_NEXT_STEP_DAYS, problems
from schemas.fields import DEFAULT, FieldRegistry
from services.api.auth import Manager, Reader
from services.api.problems import MOST_ERRORS, ProblemError
from services.api.shapes import Given, Label, Shown, Text, example, reply
from services.api.store import directory
from services.api.store import fields as store
from services.api.store.sessions import reading, writing

router = APIRouter(prefix="/v1/field-registry", tags=["directory"])

Names = Annotated[list[Label], Field(max_length=200)]


class FieldGiven(Given):
    """One field: what CRMs call it, the stage from which on it is due, the roles that fill and read it.

    `placeholders` fill it without saying anything, `defaults` are put in by the CRM itself.
    """

    names: Names = Field(default_factory=list)
    due_stage: Label | None = None
    owner: Label | None = None
    used_by: Names = Field(default_factory=list)
    placeholders: Names = Field(default_factory=list)
    defaults: Names = Field(default_factory=list)


class ObjectGiven(Given):
    """One kind of record: its names in the CRM, its stages, the fields that are typed facts, and those that are wanted.

    With fields of `close_date` it is a deal, which is reviewed. `due_stage` and `commit_stage` are one of `stages`, or
    `won`, `lost` or `closed`. `decision`, `next_step`, `handoff` and `evidence` name fields of the CRM, or of `fields`.
    `outcome` says what the values of a field mean that tells how a record ended. `link` holds `{record}`.
    """

    names: Names = Field(default_factory=list)
    stage: Names = Field(default_factory=list)
    owner: Names = Field(default_factory=list)
    close_date: Names = Field(default_factory=list)
    decision: Names = Field(default_factory=list)
    due_stage: Label | None = None
    stages: Names = Field(default_factory=list)
    won: Names = Field(default_factory=list)
    lost: Names = Field(default_factory=list)
    outcome: Annotated[dict[Label, dict[Label, Literal["open", "won", "lost"]]], Field(max_length=20)] = Field(
        default_factory=dict
    )
    fields: Annotated[dict[Label, FieldGiven], Field(max_length=200)] = Field(default_factory=dict)
    next_step: Names = Field(default_factory=list)
    next_step_days: Annotated[int, Field(ge=1, le=LONGEST_NEXT_STEP_DAYS)] = 14
    handoff: Names = Field(default_factory=list)
    handoff_roles: Names = Field(default_factory=list)
    forecast: Names = Field(default_factory=list)
    commit: Names = Field(default_factory=lambda: ["commit"])
    commit_stage: Label | None = None
    evidence: Names = Field(default_factory=list)
    duplicates: bool = True
    link: Text = ""


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
            "stages": ["Qualification", "Proposal", "Negotiation"],
            "won": ["Closed Won"],
            "lost": ["Closed Lost"],
            "fields": {
                "budget": {"names": ["Budget__c"], "due_stage": "Proposal", "owner": "sales", "placeholders": ["1"]},
                "loss reason": {"names": ["Loss_Reason__c"], "due_stage": "lost"},
            },
            "decision": ["Amount", "CloseDate", "budget", "loss reason"],
            "next_step": ["NextStep"],
            "handoff": ["Goals__c", "Main_Contact__c"],
            "handoff_roles": ["customer success"],
            "forecast": ["ForecastCategoryName"],
            "evidence": ["Champion__c"],
            "link": "https://acme.lightning.force.com/lightning/r/Opportunity/{record}/view",
        }
    },
    "placeholders": ["to be checked"],
}
SHOWN: Final = {**msgspec.to_builtins(msgspec.convert(GIVEN, FieldRegistry)), "default": False}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}


def shown(registry: FieldRegistry, *, default: bool) -> dict[str, Any]:
    """Return a registry as JSON shows it."""
    return {**msgspec.to_builtins(registry), "default": default}


def _checked(body: RegistryGiven) -> FieldRegistry:
    """Return the registry that ``body`` is.

    Raises:
        ProblemError: something in it makes no sense.
    """
    registry = msgspec.convert(body.model_dump(), FieldRegistry)
    wrong = [{"pointer": pointer, "detail": reason} for pointer, reason in problems(registry)[:MOST_ERRORS]]
    if wrong:
        raise ProblemError(422, "The field registry makes no sense.", errors=wrong)
    return registry


@router.get("", response_model=RegistryShown, responses=example(SHOWN))
async def show(caller: Reader) -> Response:
    """Show the field registry of the tenant."""
    async with reading(caller.pool) as connection:
        kept = await store.find(connection, caller.tenant.id)
    registry = DEFAULT if kept is None else msgspec.convert(kept, FieldRegistry)
    return reply(shown(registry, default=kept is None))


@router.put("", response_model=RegistryShown, responses=example(SHOWN), openapi_extra=_BODY)
async def replace(body: RegistryGiven, caller: Manager) -> Response:
    """Replace the field registry. Facts and states are taken by it from now on, numbers follow it for all weeks."""
    registry = _checked(body)
    async with writing(caller.pool) as connection:
        await store.keep(connection, caller.tenant.id, msgspec.to_builtins(registry))
        await directory.soil_all(connection, caller.tenant.id)
    return reply(shown(registry, default=False))


@router.delete("", status_code=204, responses={204: {"description": "The default holds again."}})
async def reset(caller: Manager) -> Response:
    """Take the tenant's own registry away: the default holds again."""
    async with writing(caller.pool) as connection:
        await store.keep(connection, caller.tenant.id, None)
        await directory.soil_all(connection, caller.tenant.id)
    return Response(status_code=204)
