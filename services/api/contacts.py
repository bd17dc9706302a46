"""``/v1/contacts``: who is told in the roles that no directory tells, such as the owner of the CRM or a sponsor.

An entry is the key of a person of the directory, or a bare e-mail address; a person is told by whatever address and in
whatever hours the directory has for them then.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from schemas.mails import ADDRESS
from services.api.auth import Manager
from services.api.problems import MOST_ERRORS, ProblemError
from services.api.shapes import Given, Label, Shown, example, reply
from services.api.store import contacts as store
from services.api.store.sessions import reading, writing
from services.postgres import Connection
from services.rules.shape import AUDIENCES

router = APIRouter(prefix="/v1/contacts", tags=["subscriptions"])

MOST: Final = 20
Contacts = Annotated[list[Label], Field(max_length=MOST)]


class ContactsGiven(Given):
    """By role of an audience, who is told: keys of people, or e-mail addresses. Roles that are absent have nobody."""

    roles: Annotated[dict[Label, Contacts], Field(max_length=50)]


class ContactsShown(Shown):
    """Who is told, by role. ``unreachable``: people without an address, who are passed over."""

    roles: dict[str, list[str]]
    unreachable: list[str]


GIVEN: Final[dict[str, Any]] = {
    "roles": {"crm_owner": ["dana"], "sponsor": ["dana"], "operations": ["crm-operations@acme.example"]}
}
SHOWN: Final = {
    "roles": {**{role: [] for role in AUDIENCES}, **GIVEN["roles"]},
    "unreachable": [],
}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}


async def _shown(connection: Connection, tenant: str) -> dict[str, Any]:
    kept = await store.all_contacts(connection, tenant)
    people = {address for some in kept.values() for kind, address in some if kind == "person"}
    known = await store.reached(connection, tenant, people)
    return {
        "roles": {role: [address for _, address in kept.get(role, ())] for role in AUDIENCES},
        "unreachable": sorted(person for person in people if not known.get(person, False)),
    }


@router.get("", response_model=ContactsShown, responses=example(SHOWN))
async def show(caller: Manager) -> Response:
    """Show who is told in which role."""
    async with reading(caller.pool) as connection:
        shown = await _shown(connection, caller.tenant.id)
    return reply(shown)


@router.put("", response_model=ContactsShown, responses=example(SHOWN), openapi_extra=_BODY)
async def replace(body: ContactsGiven, caller: Manager) -> Response:
    """Replace who is told in which role. Whoever was told that an alert opened is still told that it ended."""
    async with writing(caller.pool) as connection:
        given = {entry for some in body.roles.values() for entry in some}
        known = await store.reached(connection, caller.tenant.id, given)
        wrong = list(_wrong(body, known))
        if wrong:
            raise ProblemError(422, "Not everybody could be told.", errors=wrong[:MOST_ERRORS])
        await store.replace(
            connection,
            caller.tenant.id,
            {
                role: [("person" if entry in known else "email", entry) for entry in dict.fromkeys(some)]
                for role, some in body.roles.items()
            },
        )
        shown = await _shown(connection, caller.tenant.id)
    return reply(shown)


def _wrong(body: ContactsGiven, known: dict[str, bool]) -> list[dict[str, str]]:
    """Return the places that name no role, or nobody."""
    found = []
    for role, some in body.roles.items():
        at = "/roles/" + role.replace("~", "~0").replace("/", "~1")
        if role not in AUDIENCES:
            found.append({"pointer": at, "detail": f"is no role of an audience: {', '.join(AUDIENCES)}"})
        found += [
            {"pointer": f"{at}/{number}", "detail": "is neither a person of the directory nor an e-mail address"}
            for number, entry in enumerate(some)
            if entry not in known and not ADDRESS.fullmatch(entry)
        ]
    return found
