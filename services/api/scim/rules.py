"""``/v1/directory/scim``: how a tenant reads the groups of its identity provider, and how it is to be read anew."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from services.api.auth import Manager
from services.api.scim.mapping import Rules
from services.api.scim.writing import carry_places, desk, places
from services.api.shapes import Given, Plain, Shown, example, reply
from services.api.store import scim, scim_groups
from services.api.store.sessions import reading, writing

router = APIRouter(prefix="/v1/directory/scim", tags=["directory"])

Prefix = Annotated[str, Field(max_length=64), Plain]
Others = Literal["team", "role", "none"]


class RulesGiven(Given):
    """Groups with a prefix are teams or roles of the rest of their name; an empty prefix: no such groups."""

    team_prefix: Prefix = "Team:"
    role_prefix: Prefix = "Role:"
    others: Others = "team"

    @model_validator(mode="after")
    def _differ(self) -> "RulesGiven":
        first, second = self.team_prefix.lower(), self.role_prefix.lower()
        if first and second and (first.startswith(second) or second.startswith(first)):
            raise ValueError("team_prefix and role_prefix must not begin alike")
        return self


class RulesShown(Shown):
    """How groups are read."""

    team_prefix: str
    role_prefix: str
    others: str


RULES: Final[dict[str, Any]] = {"team_prefix": "Team:", "role_prefix": "Role:", "others": "team"}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": RULES}}}}


def _shown(rules: Rules) -> dict[str, str]:
    return {"team_prefix": rules.team_prefix, "role_prefix": rules.role_prefix, "others": rules.others}


@router.get("", response_model=RulesShown, responses=example(RULES))
async def show(caller: Manager) -> Response:
    """Show which groups of the identity provider are teams and which are roles."""
    async with reading(caller.pool) as connection:
        return reply(_shown(await scim.rules(connection, caller.tenant.id)))


@router.put("", response_model=RulesShown, responses=example(RULES), openapi_extra=_BODY)
async def replace(request: Request, body: RulesGiven, caller: Manager) -> Response:
    """Say which groups are teams and which are roles. Who is in a group is moved from today on."""
    wanted = Rules(body.team_prefix, body.role_prefix, body.others)
    async with writing(caller.pool) as connection:
        at = await desk(connection, caller, request)
        members = await scim_groups.everyone_in_groups(connection, at.tenant)
        people = await scim.people(connection, at.tenant, members)
        before = await places(at, people, at.rules)
        await scim.keep_rules(connection, at.tenant, wanted)
        await carry_places(at, before, await places(at, people, wanted))
    return reply(_shown(wanted))
