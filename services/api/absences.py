"""``/v1/directory/people/{user}/absences``: the days on which a person is not at work. Nothing is expected on them."""

import dataclasses
from datetime import date
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from services.api import imports
from services.api.auth import Manager, Reader
from services.api.changes import Change
from services.api.licences import Absence
from services.api.people_row import absences_of
from services.api.problems import ProblemError, invalid, not_found
from services.api.shapes import Shown, example, reply
from services.api.store import directory as store
from services.api.store import people, tenants
from services.api.store.sessions import writing

router = APIRouter(prefix="/v1/directory", tags=["directory"])


class AbsenceShown(Shown):
    """An absence, both days included."""

    from_: date = Field(alias="from")
    to: date
    kind: str


class AbsencesShown(Shown):
    """The absences of a person in order."""

    items: list[AbsenceShown]


GIVEN: Final[list[dict[str, Any]]] = [{"from": "2026-04-06", "to": "2026-04-10", "kind": "leave"}]
_SHOWN: Final = example({"items": GIVEN})
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["from", "to"],
                        "properties": {
                            "from": {"type": "string", "format": "date"},
                            "to": {"type": "string", "format": "date"},
                            "kind": {"type": "string", "default": "leave"},
                        },
                    },
                },
                "example": GIVEN,
            }
        },
    }
}


def _listed(given: object) -> list[Any]:
    if not isinstance(given, list):
        raise ValueError("must be a list")  # noqa: TRY004 - as every other unusable value
    return given


def absence_shown(absence: Absence) -> dict[str, Any]:
    """Return an absence as JSON shows it."""
    return {"from": absence.first, "to": absence.last, "kind": absence.kind}


@router.put("/people/{user:path}/absences", response_model=AbsencesShown, responses=_SHOWN, openapi_extra=_BODY)
async def put(request: Request, user: str, caller: Manager) -> Response:
    """Replace the absences of a person. Those of one kind that overlap or adjoin become one."""
    try:
        given = absences_of(_listed(msgspec.json.decode(await request.body())))
    except msgspec.MsgspecError as error:
        raise ProblemError(400, "The body is not valid JSON in UTF-8.") from error
    except ValueError as error:
        raise invalid(f"absences: {error}.", pointer="") from error
    async with writing(caller.pool) as connection:
        await store.alone(connection, caller.tenant.id)
        before = (await imports.with_absences(connection, caller.tenant.id, [user])).get(user)
        if before is None:
            raise not_found()
        if tuple(before.absences or ()) != given:
            change = Change(user, before, dataclasses.replace(before, absences=given))
            shards = await store.shards(connection, request.app.state.partitions)
            await imports.write(connection, caller.tenant.id, [change], shards)
            await tenants.bump(connection, caller.tenant.id)
    return reply({"items": [absence_shown(one) for one in given]})


@router.get("/people/{user:path}/absences", response_model=AbsencesShown, responses=_SHOWN)
async def show(user: str, caller: Reader) -> Response:
    """List the absences of a person. The access is logged."""
    async with writing(caller.pool) as connection:
        known = await store.known(connection, caller.tenant.id, [user])
        if not known or not await caller.sees(connection, user):
            raise not_found()
        found = (await store.absences(connection, caller.tenant.id, [user])).get(user, ())
        await people.log_access(connection, caller.tenant.id, caller.principal.key_id, "/v1/directory/people", user)
    return reply({"items": [absence_shown(one) for one in found]})
