"""``/v1/rules/backtest``: rules are tried on history before anybody relies on them.

The API only asks; the aggregator judges. No alert is opened and nobody is told. A key sees the episodes whose alerts it
would see, and all that is counted is counted from these.
"""

import asyncio
import secrets as randomness
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from services.api.auth import Caller, Manager
from services.api.backtest_items import ASKED, SHOWN, WAITING, BacktestGiven, BacktestShown, SweepGiven
from services.api.backtest_load import Stage, stage
from services.api.backtest_shown import Visible, shown
from services.api.once import OnceKey, once
from services.api.problems import MOST_ERRORS, ProblemError, conflict, invalid, not_found
from services.api.rule_items import Supply
from services.api.shapes import example, reply
from services.api.store import backtests as store
from services.api.store import rules as rule_store
from services.api.store.people import log_accesses
from services.api.store.sessions import reading, writing
from services.postgres import Connection, Row
from services.rules.drafts import amid, checked, read
from services.rules.load import Days
from services.rules.pack import DEFAULT, PackError, Spec, Version, merged
from services.rules.shape import Rule
from services.rules.sweep import look
from services.sight import NAMES, Curtain, Sight, curtain_of, sees, sight, told

router = APIRouter(prefix="/v1/rules/backtest", tags=["alerts"])

PATH: Final = "/v1/rules/backtest"
EVERY: Final = 0.1
MOST_WAITING: Final = 5

Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait until it is finished.")]
Number = Annotated[str, Path(max_length=64)]


@router.post(
    "",
    status_code=202,
    response_model=BacktestShown,
    responses={200: {**example(SHOWN)[200], "model": BacktestShown}, **example(WAITING, 202)},
    openapi_extra={"requestBody": {"content": {"application/json": {"example": ASKED}}}},
)
async def ask(body: BacktestGiven, caller: Manager, key: OnceKey, wait: Wait = 10.0) -> Response:
    """Try rules on all that is known. Opens no alert and tells nobody.

    Drafts stand in the place of the rules of their id, amid all others; the answer tells of the drafts. Without any it
    tells of the rules that stand. 200 when it was finished in time, else 202 and where to ask again. What is tried is
    forgotten after seven days.
    """
    given = _given(body)
    async with writing(caller.pool) as connection:
        await rule_store.order(connection, caller.tenant.id)

        async def make() -> dict[str, Any]:
            request = await _request(connection, caller, body, given)
            return {"id": await _ask(connection, caller, request)}

        scope = f"{caller.principal.key_id}/backtests/{caller.tenant.id}"
        made = await once(connection, scope, key, body.model_dump(mode="json"), make)
    return await _answer(caller, made["id"], wait, asked=True)


async def _request(
    connection: Connection, caller: Caller, body: BacktestGiven, given: list[Any] | None
) -> dict[str, Any]:
    """Return what the aggregator is asked, once it makes sense."""
    _not_to_come(body, await caller.today(connection))
    request: dict[str, Any] = {"from": body.from_, "to": body.to, "knowledge": body.knowledge}
    versions = await _versions(connection, caller.tenant.id)
    if given is not None:
        request["rules"] = _drafts(given, versions)
    if body.sweep is not None:
        _look(body.sweep, request.get("rules") or {}, versions)
        request["sweep"] = body.sweep.model_dump()
    return request


async def _ask(connection: Connection, caller: Caller, request: Mapping[str, Any]) -> str:
    """Ask the aggregator; return the number of the backtest."""
    tenant, number = caller.tenant.id, f"bt_{randomness.token_hex(8)}"
    if await store.waiting(connection, tenant) >= MOST_WAITING:
        raise conflict(f"{MOST_WAITING} backtests are not finished yet: wait for one of them.")
    await store.ask(connection, tenant, number, caller.principal.key_id, request)
    return number


def _given(body: BacktestGiven) -> list[Any] | None:
    """Return the drafts as they were sent; None: none were."""
    if body.rules is not None and body.text is not None:
        raise invalid("Give the rules once: as `rules` or as `text`.", pointer="/text")
    if body.from_ is not None and body.to is not None and body.from_ > body.to:
        raise invalid("The last day lies before the first.", pointer="/to")
    if body.text is None:
        return body.rules
    try:
        return read(body.text)
    except PackError as error:
        raise _refused(error) from error


def _not_to_come(body: BacktestGiven, today: date) -> None:
    for name, asked in (("from", body.from_), ("to", body.to)):
        if asked is not None and asked > today:
            raise invalid("This day is yet to come.", pointer=f"/{name}")


def _look(sweep: SweepGiven, drafts: Mapping[str, Spec], versions: Mapping[str, Version]) -> None:
    try:
        look(sweep.rule, sweep.parameter, sweep.values, drafts, versions)
    except PackError as error:
        raise _refused(error) from error


def _drafts(given: list[Any], versions: Mapping[str, Version]) -> dict[str, Spec]:
    try:
        return checked(given, versions)
    except PackError as error:
        raise _refused(error) from error


def _refused(error: PackError) -> ProblemError:
    errors = [{"pointer": pointer, "detail": reason} for pointer, reason in error.errors[:MOST_ERRORS]]
    return ProblemError(422, "The rules make no sense.", errors=errors)


async def _versions(connection: Connection, tenant: str) -> dict[str, Version]:
    return {rule: each.version for rule, each in (await rule_store.versions(connection, tenant)).items()}


@router.get("/{number}", response_model=BacktestShown, responses=example(SHOWN))
async def show(number: Number, caller: Manager, wait: Wait = 10.0) -> Response:
    """Show a backtest, at once when it is finished, else when it is or when the time is up."""
    return await _answer(caller, number, wait, asked=False)


async def _answer(caller: Caller, number: str, wait: float, *, asked: bool) -> Response:
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        async with reading(caller.pool) as connection:
            done = await store.finished(connection, caller.tenant.id, number)
        if done or loop.time() >= until:
            break
        await asyncio.sleep(min(EVERY, max(until - loop.time(), 0)))
    async with writing(caller.pool) as connection:
        scene = await _scene(connection, caller, number)
    body = await asyncio.to_thread(shown, *scene)
    return reply(body, 200 if done or not asked else 202, {"location": f"{PATH}/{number}"} if asked else None)


async def _scene(
    connection: Connection, caller: Caller, number: str
) -> tuple[Row, Visible, Mapping[str, Rule], Supply, Stage | None]:
    """Return a backtest, and all that it takes to show it to the caller."""
    tenant = caller.tenant
    row = await store.find(connection, tenant.id, number)
    if row is None:
        raise not_found()
    today = await caller.today(connection)
    seen = await sight(connection, tenant, caller.person, today)
    visible, curtain, every = await _visible(connection, caller, row["result"] or {}, seen)
    named = {each["subject"]["key"] for each in visible.episodes if each["subject"]["kind"] == "user"}
    named.update(*(each["evidence"].get(NAMES, ()) for each in visible.episodes if each["subject"]["kind"] == "wave"))
    await log_accesses(connection, tenant.id, caller.principal.key_id, PATH, sorted(named))
    request = row["request"]
    rules = merged(DEFAULT, amid(await _versions(connection, tenant.id), request.get("rules") or {}))
    supply = Supply.of(*await rule_store.data(connection, tenant.id))
    if row["result"] is None:
        return row, visible, rules, supply, None
    as_of, days = row["result"]["as_of"], Days.of(request)
    until = row["finished_at"] if as_of is None else datetime.fromisoformat(as_of)
    before = await stage(connection, tenant.id, every, seen, curtain, days, today, until)
    return row, visible, rules, supply, before


async def _visible(
    connection: Connection, caller: Caller, result: Mapping[str, Any], seen: Sight
) -> tuple[Visible, Curtain, list[Mapping[str, Any]]]:
    """Return what of ``result`` a key sees, what is hidden, and all episodes that are counted from."""
    swept = result.get("sweep") or []
    found = [*result.get("episodes", ()), *(each for row in swept for each in row["episodes"])]
    teams = [row for rule in result.get("detectable", ()) for row in rule["teams"]]
    curtain = await curtain_of(connection, caller.tenant, [*found, *map(_as_alert, teams)])

    def of(episodes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [told(each, curtain, individuals=seen.individuals) for each in episodes if sees(seen, each, curtain)]

    visible = Visible(
        of(result.get("episodes", ())),
        [{**row, "episodes": of(row["episodes"])} for row in swept],
        [
            {**rule, "teams": [row for row in rule["teams"] if sees(seen, _as_alert(row), curtain)]}
            for rule in result.get("detectable", ())
        ],
    )
    return visible, curtain, [*visible.episodes, *(each for row in visible.sweep for each in row["episodes"])]


def _as_alert(team: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is found of a team as something that is told of it."""
    first = date.fromisoformat(team["go_live"])
    return {
        "subject": {"kind": "team", "key": team["team"]},
        "window": {"from": first, "to": first + timedelta(days=6)},
        "evidence": {"den": team["people"]},
    }
