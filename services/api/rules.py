"""``/v1/rules``: what opens alerts, as the packs have it and as the tenant changed it, and why a rule did not speak.

A change is refused as a whole when anything in it is wrong. Whoever changes a rule has everything judged anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Body, Header, Query
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Caller, Manager, Reader
from services.api.edge import tag_of
from services.api.problems import MOST_ERRORS, ProblemError, conflict, not_found
from services.api.rule_items import (
    EVALUATION,
    SHOWN,
    EvaluationPage,
    RuleChanged,
    RuleList,
    RuleShown,
    Supply,
    ordered,
    said,
    shown,
    silent,
)
from services.api.shapes import Cursor, Day, Identifier, Limit, example, reply
from services.api.store import rules as store
from services.api.store import tenants
from services.api.store.people import log_accesses
from services.api.store.rules import Asked, Kept, Place
from services.api.store.sessions import reading, writing
from services.postgres import Connection
from services.rules.differences import changes
from services.rules.pack import DEFAULT, SPECS, Version, merged, problems, reduced, spec_of, specs_with
from services.rules.shape import Rule
from services.rules.usefulness import SPAN, Record
from services.sight import curtain, sight

router = APIRouter(prefix="/v1/rules", tags=["alerts"])

Words = Annotated[str | None, Query(max_length=256)]
Kind = Annotated[Literal["user", "team", "role", "wave", "tenant"] | None, Query()]
First = Annotated[Day | None, Query(alias="from", description="Windows that end on this day or later.")]
Last = Annotated[Day | None, Query(alias="to", description="Windows that end on this day or before.")]
IfMatch = Annotated[str | None, Header(max_length=512, description="The ETag of the rule as it was read.")]
Given = Annotated[dict[str, Any], Body(description="The parts that differ from the pack's rule, or a whole rule.")]

_GIVEN: Final = {"params": {"at_least": 25, "closes_at": 15}, "audience": ["team_lead", "data_owner"]}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": _GIVEN}}}}
_CHANGED: Final = {**SHOWN, "changes": [{"pointer": "/params/at_least", "before": 20, "after": 25}]}


@dataclass(frozen=True, slots=True)
class _Book:
    """The rules of a tenant, and what is known of them."""

    kept: Mapping[str, Kept]
    records: Mapping[str, Record]
    supply: Supply

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Return the rules that stand."""
        return merged(DEFAULT, self.versions)

    @property
    def versions(self) -> dict[str, Version]:
        """Return the newest versions."""
        return {rule: each.version for rule, each in self.kept.items()}

    def shown(self, rule: Rule) -> dict[str, Any]:
        """Return a rule as JSON shows it."""
        return shown(rule, self.kept, self.records.get(rule.id, Record()), self.supply)


async def _book(connection: Connection, caller: Caller) -> _Book:
    tenant = caller.tenant
    now = await tenants.now_of(connection, tenant, caller.now) or caller.now
    seen = await sight(connection, tenant, caller.person, await caller.today(connection))
    codes, named = await store.data(connection, tenant.id)
    return _Book(
        await store.versions(connection, tenant.id),
        await store.records(connection, tenant.id, seen, now - SPAN),
        Supply.of(codes, named),
    )


@router.get("", response_model=RuleList, responses=example({"items": [SHOWN]}))
async def show_all(caller: Reader) -> Response:
    """List every rule: when it opens and closes, whether it is active, and whether it is worth its noise."""
    async with reading(caller.pool) as connection:
        book = await _book(connection, caller)
    return reply({"items": [book.shown(rule) for rule in ordered(book.rules)]})


@router.get("/{rule}", response_model=RuleShown, responses=example(SHOWN))
async def show(rule: str, caller: Reader) -> Response:
    """Show one rule."""
    async with reading(caller.pool) as connection:
        book = await _book(connection, caller)
    return reply(book.shown(_named(book, rule)))


def _named(book: _Book, rule: str) -> Rule:
    found = book.rules.get(rule)
    if found is None:
        raise not_found()
    return found


@router.put("/{rule}", response_model=RuleChanged, responses=example(_CHANGED), openapi_extra=_BODY)
async def change(rule: Identifier, body: Given, caller: Manager, if_match: IfMatch = None) -> Response:
    """Change a rule of a pack by the parts that differ (null takes one away), or make a rule of your own.

    What is not named is as the pack has it, now and after an update. A rule of your own is given whole. The answer says
    what is different from before; a rule in which anything is wrong is refused, with every place that is.
    """
    async with writing(caller.pool) as connection:
        await store.order(connection, caller.tenant.id)
        book = await _book(connection, caller)
        _match(book, rule, if_match)
        given = reduced(rule, body)
        _check(book, rule, given)
        before = book.rules.get(rule)
        if given or rule not in SPECS:
            await _keep(connection, caller, book, rule, given)
        elif rule in book.kept:
            await _keep(connection, caller, book, rule, None)
        book = await _book(connection, caller)
    after = _named(book, rule)
    told = changes({} if before is None else spec_of(before), spec_of(after))
    return reply({**book.shown(after), "changes": [each._asdict() for each in told]})


def _match(book: _Book, rule: str, if_match: str | None) -> None:
    """Refuse a change of what is not any more as it was read."""
    if if_match is None:
        return
    found = book.rules.get(rule)
    tag = None if found is None else tag_of(msgspec.json.encode(book.shown(found)))
    if tag is None or if_match.strip() not in ("*", tag):
        raise ProblemError(412, "The rule has changed since it was read.")


def _check(book: _Book, rule: str, given: Mapping[str, Any]) -> None:
    if wrong := problems(rule, given, specs_with(book.versions)):
        errors = [{"pointer": pointer, "detail": reason} for pointer, reason in wrong[:MOST_ERRORS]]
        raise ProblemError(422, "The rule makes no sense.", errors=errors)


async def _keep(connection: Connection, caller: Caller, book: _Book, rule: str, spec: dict[str, Any] | None) -> None:
    """Keep a version, unless it is the one that stands."""
    kept = book.kept.get(rule)
    if kept is not None and kept.version.spec == spec:
        return
    await store.keep(connection, caller.tenant.id, rule, spec, caller.principal.key_id)
    await tenants.bump(connection, caller.tenant.id)


@router.delete("/{rule}", status_code=204, responses={204: {"description": "The pack's rule stands again."}})
async def reset(rule: Identifier, caller: Manager, if_match: IfMatch = None) -> Response:
    """Return to the pack's rule, or take away a rule of your own."""
    async with writing(caller.pool) as connection:
        await store.order(connection, caller.tenant.id)
        book = await _book(connection, caller)
        _named(book, rule)
        _match(book, rule, if_match)
        if rule not in SPECS and any(rule in _names(other) for other in book.rules.values()):
            raise conflict("Another rule names this one.")
        if rule in book.kept:
            await _keep(connection, caller, book, rule, None)
    return Response(status_code=204)


def _names(rule: Rule) -> set[str]:
    """Return the rules that a rule names."""
    listed: Any = rule.params.get("rules", ())
    return {*rule.inhibited_by, *(name for part in listed for name in ([part] if isinstance(part, str) else part))}


@router.get(
    "/{rule}/evaluations",
    response_model=EvaluationPage,
    responses=example({"items": [EVALUATION], "next": None, "state": "active", "why": None}),
)
async def show_evaluations(
    rule: str,
    caller: Reader,
    subject: Words = None,
    subject_kind: Kind = None,
    first: First = None,
    last: Last = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Tell why a rule did or did not open an alert: one item for each window it judged, by subject, newest first.

    Of groups that are hidden from this key there are no numbers.
    """
    tenant = caller.tenant
    asked = Asked(rule, subject_kind, subject, first, last)
    question = cursors.mark("evaluations", tenant.id, asked)
    after = cursors.decode(cursor, question, Place)
    async with writing(caller.pool) as connection:
        book = await _book(connection, caller)
        found = _named(book, rule)
        seen = await sight(connection, tenant, caller.person, await caller.today(connection))
        rows = await store.evaluations(connection, tenant.id, seen, asked, after, limit + 1)
        listed = rows[:limit]
        people = {row["subject_key"] for row in listed if row["subject_kind"] == "user"}
        path = f"/v1/rules/{rule}/evaluations"
        await log_accesses(connection, tenant.id, caller.principal.key_id, path, sorted(people))
        spans = [day for row in listed for day in (row["window_from"], row["window_to"])]
        hidden = await curtain(connection, tenant, min(spans), max(spans)) if spans else None
    more = None
    if len(rows) > limit:
        more = cursors.encode(question, Place(*(rows[limit - 1][name] for name in Place._fields)))
    state, lack = book.supply.state(found)
    items = [] if hidden is None else [said(row, found, seen, hidden) for row in listed]
    return reply({"items": items, "next": more, "state": state, "why": silent(state, lack)})
