"""``/v1/subscriptions``: who is told of alerts, by which way, of which of them.

A subscription tells what the key that made it may see, and nothing more once that key is gone. Address and secret go
in and are not shown again: the secret in the answer that made it, the address by its host.
"""

import base64
import secrets as randomness
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from schemas.subscriptions import KINDS, Kind
from services.api import cursors
from services.api.auth import Caller, Responder
from services.api.once import OnceKey, once
from services.api.problems import ProblemError, conflict, invalid, not_found
from services.api.shapes import Cursor, Limit, created, example, page, reply
from services.api.store import subscriptions as store
from services.api.store.sessions import reading, writing
from services.api.subscription_items import (
    GIVEN,
    MADE,
    PREFIX,
    SHOWN,
    NewSubscription,
    SubscriptionChange,
    SubscriptionMade,
    SubscriptionPage,
    SubscriptionShown,
)
from services.egress import TargetError
from services.postgres import Connection, Row
from services.sealing import Seal, SealError, seal_of

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

MOST_SECRETS: Final = 2
"""The new one and the old one, while the receiver changes over."""
SECRET_BYTES: Final = 32
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}
_CHANGE: Final = {"requestBody": {"content": {"application/json": {"example": {"rotate": True}}}}}


async def address(request: Request, kind: Kind, url: str | None) -> str | None:
    """Return the address that may be delivered to, without asking it.

    Raises:
        ProblemError: there is none and must be, or the other way round, or it may not be delivered to.
    """
    if kind.addressed is not (url is not None):
        raise invalid(f"A subscription of the kind {kind.name} {'needs' if kind.addressed else 'has no'} address.")
    if url is not None:
        try:
            await request.app.state.check_url(url)
        except TargetError as error:
            raise invalid(f"The address {error}.", pointer="/url") from error
    return url


def checked_options(kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options as they are kept.

    Raises:
        ProblemError: one is not known for the kind, or of another type.
    """
    try:
        kept: dict[str, Any] = msgspec.to_builtins(msgspec.convert(given, kind.options))
    except msgspec.ValidationError as error:
        told = [{"pointer": "/options", "detail": str(error)}]
        raise ProblemError(422, "The options do not fit the kind of the subscription.", errors=told) from error
    return kept


def shown(row: Row, seal: Seal) -> dict[str, Any]:
    """Return a subscription as JSON shows it."""
    told = {name: row[name] for name in SubscriptionShown.model_fields if name != "url"}
    return {**told, "url": None if row["url"] is None else _origin(row, seal)}


def _origin(row: Row, seal: Seal) -> str:
    try:
        url = store.opened(seal, row["tenant"], row["id"], row["url"])
    except SealError:
        return ""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"


async def found(connection: Connection, caller: Caller, subscription: str, *, lock: bool = False) -> Row:
    """Return a subscription that ``caller`` may know of.

    Raises:
        ProblemError: there is none.
    """
    row = await store.find(connection, caller.tenant.id, subscription, caller.person, lock=lock)
    if row is None:
        raise not_found()
    return row


def _fresh() -> str:
    return PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


@router.post("", status_code=201, response_model=SubscriptionMade, responses=example(MADE, 201), openapi_extra=_BODY)
async def create(request: Request, body: NewSubscription, caller: Responder, key: OnceKey) -> Response:
    """Subscribe to alerts. Told is what changes from now on; the secret is in this answer and nowhere else."""
    kind, tenant = KINDS[body.kind], caller.tenant.id
    if kind.people and caller.person is not None:
        raise ProblemError(403, "A key that is bound to a person subscribes for machines only.")
    if body.secret is not None and not kind.signed:
        raise invalid("Only webhooks are signed.", pointer="/secret")
    url, options = await address(request, kind, body.url), checked_options(kind, body.options)
    async with writing(caller.everywhere) as connection:
        seal = await seal_of(connection, request.app.state.seal_key)

        async def make() -> dict[str, Any]:
            name = body.id or f"sub_{randomness.token_hex(8)}"
            secret = (body.secret or _fresh()) if kind.signed else None
            row = await store.create(
                connection,
                tenant,
                name,
                kind=kind.name,
                name=body.name or name,
                url=None if url is None else store.sealed(seal, tenant, name, url),
                secrets=[] if secret is None else [store.sealed(seal, tenant, name, secret)],
                filter_=body.filter.model_dump(exclude_defaults=True),
                options=options,
                key=caller.principal.key_id,
                person=caller.person,
            )
            if row is None:
                raise conflict("A subscription with this id exists.")
            return shown(row, seal)

        scope = f"{caller.principal.key_id}/subscriptions/{tenant}"
        made = await once(connection, scope, key, body.model_dump(mode="json"), make)
        secret = await _newest(connection, seal, caller, made["id"])
    return created({**made, "secret": secret}, router.prefix, {"Cache-Control": "no-store"})


async def _newest(connection: Connection, seal: Seal, caller: Caller, subscription: str) -> str | None:
    row = await store.find(connection, caller.tenant.id, subscription, caller.person)
    if row is None or not row["sealed"]:
        return None
    return store.opened(seal, caller.tenant.id, subscription, row["sealed"][0])


@router.get("", response_model=SubscriptionPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(request: Request, caller: Responder, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the subscriptions by id. A key that is bound to a person sees those of that person."""
    question = cursors.mark("subscriptions", caller.tenant.id)
    after = cursors.decode(cursor, question, str) or ""
    async with reading(caller.everywhere) as connection:
        rows = await store.page(connection, caller.tenant.id, after, caller.person, limit + 1)
        items = [shown(row, await seal_of(connection, request.app.state.seal_key)) for row in rows[:limit]]
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page(items, more)


@router.get("/{subscription}", response_model=SubscriptionShown, responses=example(SHOWN))
async def show(request: Request, subscription: str, caller: Responder) -> Response:
    """Show one subscription."""
    async with reading(caller.everywhere) as connection:
        row = await found(connection, caller, subscription)
        seal = await seal_of(connection, request.app.state.seal_key)
    return reply(shown(row, seal))


@router.patch("/{subscription}", response_model=SubscriptionMade, responses=example(MADE), openapi_extra=_CHANGE)
async def change(request: Request, subscription: str, body: SubscriptionChange, caller: Responder) -> Response:
    """Change a subscription, pause it, switch it on again, or give it a new secret, which is in this answer."""
    tenant = caller.tenant.id
    async with reading(caller.everywhere) as connection:
        kind = KINDS[(await found(connection, caller, subscription))["kind"]]
    if body.url is not None:
        await address(request, kind, body.url)
    if (body.rotate or body.retire) and not kind.signed:
        raise invalid("Only webhooks are signed.", pointer="/rotate")
    async with writing(caller.everywhere) as connection:
        row = await found(connection, caller, subscription, lock=True)
        seal = await seal_of(connection, request.app.state.seal_key)
        secret = _fresh() if body.rotate else None
        fresh = [] if secret is None else [store.sealed(seal, tenant, subscription, secret)]
        revived = body.state == "active" and row["state"] == "disabled"
        changed = await store.change(
            connection,
            tenant,
            subscription,
            name=body.name or row["name"],
            url=row["url"] if body.url is None else store.sealed(seal, tenant, subscription, body.url),
            secrets=[*fresh, *row["sealed"]][: 1 if body.retire else MOST_SECRETS],
            filter_=row["filter"] if body.filter is None else body.filter.model_dump(exclude_defaults=True),
            options=row["options"] if body.options is None else checked_options(kind, body.options),
            state=body.state or row["state"],
            key=_keeper(caller, row, revived=revived),
        )
        if revived:
            await store.revive(connection, tenant, subscription, caller.now)
            await store.tell_rules(connection, tenant)
    return reply({**shown(changed, seal), "secret": secret}, headers={"Cache-Control": "no-store"})


def _keeper(caller: Caller, row: Row, *, revived: bool) -> str:
    """Return the key that a subscription tells for: who revives it stands in for a key that is gone.

    Raises:
        ProblemError: the caller sees other things than that key did.
    """
    if not revived or row["live"]:
        return str(row["key_id"])
    if row["person"] != caller.person:
        raise conflict("It told what a person may see, by a key that is gone: make a new subscription.")
    return caller.principal.key_id


@router.delete("/{subscription}", status_code=204, responses={204: {"description": "Nothing more is told."}})
async def delete(subscription: str, caller: Responder) -> Response:
    """End a subscription. What it was told is forgotten here."""
    async with writing(caller.pool) as connection:
        await store.delete(connection, caller.tenant.id, (await found(connection, caller, subscription))["id"])
    return Response(status_code=204)
