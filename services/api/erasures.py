"""``DELETE /v1/people/{user}`` and ``/v1/erasures/{id}``: a person is forgotten, and it is shown that they are.

The API only asks: what the owners of the person's shards write is theirs. Who was erased stays known by a keyed mark
alone, so that neither a late copy of an event nor the next import of the directory brings them back.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from schemas.erasures import ERASE
from services.api.auth import Manager
from services.api.problems import conflict, not_found
from services.api.shapes import Shown, example, reply
from services.api.store import directory, people
from services.api.store import erasures as store
from services.api.store.sessions import reading, writing
from services.postgres import Row

router = APIRouter(prefix="/v1", tags=["people"])

MOST: Final = (1 << 63) - 1


class Remaining(Shown):
    """Something that stays, and why."""

    what: str
    why: str


class ErasureReport(Shown):
    """What became of whatever there was.

    ``tables``: how many rows were removed, or with ``anonymise`` written under another name. ``tombstones``: how many
    were put on the log. ``left``: how many rows still name the person when it is finished: none. ``stays``: what
    cannot be removed.
    """

    identities: int
    tables: dict[str, int]
    tombstones: int
    left: int | None = None
    stays: list[Remaining]


class ErasureShown(Shown):
    """An erasure: ``running`` until every part is done, then ``finished``, with the proof."""

    id: int
    mode: Literal["erase", "anonymise"]
    actor: str
    state: Literal["running", "finished"]
    asked_at: datetime
    finished_at: datetime | None = None
    report: ErasureReport


_STAYS: Final = [
    {
        "what": "events on the Kafka topic",
        "why": "a log cannot be rewritten: they go with its retention; a tombstone of the key removes them from "
        "compacted copies, and read again they count for nobody",
    },
    {
        "what": "identities of events, as 128-bit hashes",
        "why": "they name nobody; without them an old copy of an event would count as a new one",
    },
    {"what": "a keyed mark of each identity", "why": "so that the person does not come back"},
    {"what": "sealed bodies of deliveries that could not be used", "why": "they are deleted with their retention"},
    {"what": "backups of the database", "why": "they are outside of it: they go with their own retention"},
]
SHOWN: Final[dict[str, Any]] = {
    "id": 7,
    "mode": "erase",
    "actor": "k3x9",
    "state": "finished",
    "asked_at": "2026-03-08T09:00:00Z",
    "finished_at": "2026-03-08T09:00:02Z",
    "report": {
        "identities": 2,
        "tables": {"activity": 1812, "membership": 2, "person": 1, "person_day": 61},
        "tombstones": 2,
        "left": 0,
        "stays": _STAYS,
    },
}


@router.delete(
    "/people/{user:path}",
    status_code=202,
    response_model=ErasureShown,
    responses=example({**SHOWN, "state": "running"}, 202),
)
async def forget(
    user: str,
    request: Request,
    caller: Manager,
    mode: Annotated[
        Literal["erase", "anonymise"],
        Query(
            description="`erase` takes out of all numbers what they did; `anonymise` keeps the counts, without a name."
        ),
    ] = ERASE,
) -> Response:
    """Forget a person, with every identity that counts for them. The answer names the erasure, which goes on."""
    tenant = caller.tenant.id
    async with writing(caller.pool) as connection:
        await store.alone(connection, tenant)
        number = await store.running(connection, tenant, user)
        if number is None:
            if not await store.known(connection, tenant, user):
                raise not_found()
            if await store.counts_for(connection, tenant, user) is not None:
                raise conflict("This identity counts for another person: erase that one, or undo the merge first.")
            shards = await directory.shards(connection, request.app.state.partitions)
            actor = caller.principal.key_id
            number = await store.ask(connection, tenant, user, mode=mode, actor=actor, shards=shards)
            await people.log_access(connection, tenant, actor, "/v1/people", f"erasure {number}")
        row = await store.find(connection, tenant, number)
    return reply(_shown(row), 202, {"Location": f"/v1/erasures/{number}"})


@router.get("/erasures/{number}", response_model=ErasureShown, responses=example(SHOWN))
async def show(number: Annotated[int, Path(ge=1, le=MOST)], caller: Manager) -> Response:
    """Show how far an erasure is, and when it is finished, what it removed."""
    async with reading(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, number)
    if row is None:
        raise not_found()
    return reply(_shown(row))


def _shown(row: Row) -> dict[str, Any]:
    report = row["report"]
    finished = row["finished_at"] is not None
    return {
        **{name: row[name] for name in ("id", "mode", "actor", "asked_at", "finished_at")},
        "state": "finished" if finished else "running",
        "report": {
            "identities": report.get("identities", 0),
            "tables": report.get("tables", {}),
            "tombstones": report.get("tombstones", 0),
            "left": report.get("left"),
            "stays": _STAYS,
        },
    }
