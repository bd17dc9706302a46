"""Odoo 17 to 19: the server action "Send Webhook Notification". Pure.

Odoo waits one second, never repeats, and cannot send a header: the secret is the last part of the address, and what
triggered the rule stands before it, ``/v1/hooks/{source}/{rule}/{trigger}/{secret}`` with trigger one of ``create``,
``write``, ``save``, ``unlink`` and ``login``. The body has the chosen fields only; times are naive UTC, nothing is
``false``. It cannot tell a person from software, but for the users that are declared to be software.
"""

from typing import Any, Final

import msgspec

from schemas.fields import FieldRegistry
from schemas.sources import OdooOptions, Source
from services.ingest.vendors.shape import (
    LIMITED,
    MALFORMED,
    OK,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Delivery,
    MalformedError,
    Manners,
    Reading,
    Vendor,
    event,
    from_text,
    identity,
    options,
    record_event,
    same,
)

_TRIGGERS: Final = {"create": "created", "write": "updated", "unlink": "deleted"}
_OWN: Final = frozenset({"_action", "_id", "_model", "id", "create_uid", "write_uid", "create_date", "write_date"})
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def _verify(source: Source, delivery: Delivery) -> bool:
    return same(delivery.secret, source.secrets)


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    try:
        body = _decode(delivery.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise MalformedError("is not a JSON object") from error
    model, record = body.get("_model"), body.get("_id", body.get("id"))
    if type(model) is not str or type(record) is not int:
        raise MalformedError("has no _model and _id")
    rule, trigger = (*delivery.steps, "", "")[:2]
    created = from_text(body.get("create_date"), naive=True)
    written = from_text(body.get("write_date"), naive=True)
    if trigger == "login" or model == "res.users.log":
        return _login(source, delivery, body, record)
    kind = _TRIGGERS.get(trigger) or ("created" if created is not None and created == written else "updated")
    actor = body.get("create_uid") if kind == "created" else body.get("write_uid", body.get("create_uid"))
    user = None if type(actor) is bool else actor
    time = (created if kind == "created" else written) or written
    return Reading(
        [
            record_event(
                source,
                fields,
                id=_identity(source, delivery, rule, model, record, f"{time}{kind}" if time else None),
                kind=kind,
                time=time,
                user=user,
                object=model,
                record=record,
                values={name: _value(value) for name, value in body.items() if name not in _OWN},
                **_origin(source, user),
            )
        ]
    )


def _login(source: Source, delivery: Delivery, body: dict[str, Any], record: int) -> Reading:
    user = body.get("create_uid")
    time = from_text(body.get("create_date"), naive=True)
    made = event(
        source,
        id=_identity(source, delivery, "login", "res.users.log", record, f"{time}" if time else None),
        type="crm.session.login",
        time=time,
        user=None if type(user) is bool else user,
        **_origin(source, user),
    )
    return Reading([made()])


def _identity(source: Source, delivery: Delivery, rule: str, model: str, record: int, moment: str | None) -> str:
    """Return the identity of a change; without its time, the same body within one minute is the same change."""
    if moment is None:
        minute = delivery.received_at.replace(second=0, microsecond=0)
        return identity(source.id, rule, model, record, delivery.body.hex(), minute)
    return identity(source.id, rule, model, record, moment)


def _origin(source: Source, user: object) -> dict[str, str]:
    if user is not None and str(user) in options(source, OdooOptions).software_users:
        return {"origin": "automation", "confidence": "inferred"}
    return {"origin": "unknown", "confidence": "none"}


def _value(value: object) -> object:
    """Return nothing for Odoo's ``false``: it stands for an empty field of any type."""
    return None if value is False else value


VENDOR: Final = Vendor(
    kind="odoo",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=MALFORMED,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        never_retries=True,
        seconds=0.3,
    ),
    verify=_verify,
    parse=_parse,
)
