"""Odoo 17 to 19: the server action "Send Webhook Notification". Pure.

Odoo waits one second, never repeats, and cannot send a header: the secret is the last part of the address, and what
triggered the rule stands before it, ``/v1/hooks/{source}/{rule}/{trigger}/{secret}`` with trigger one of ``create``,
``write``, ``save``, ``stage``, ``unlink`` and ``login``. The body has the chosen fields only; times are naive UTC,
nothing is ``false``. It cannot tell a person from software, but for the users that are declared to be software.
"""

import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.fields import FieldRegistry
from schemas.sources import OdooOptions, Source
from services.ingest.vendors.documents import json_object, key, text
from services.ingest.vendors.shape import (
    LIMITED,
    MALFORMED,
    OK,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Bad,
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

_TRIGGERS: Final = {
    "create": "created",
    "write": "updated",
    "stage": "stage_changed",
    "unlink": "deleted",
    "save": None,
    "login": None,
}
_OWN: Final = frozenset({"_action", "_id", "_model", "id", "create_uid", "write_uid", "create_date", "write_date"})
_ACTION: Final = re.compile(r"(.*)\(#(.+)\)", re.DOTALL)
_LONGEST_ACTION: Final = 500
_UNSAVED: Final = re.compile(r"NewId_(?:0x[0-9a-f]+|([0-9]+)|.*)", re.DOTALL)


class _Notification(NamedTuple):
    """What a body says."""

    body: dict[str, Any]
    model: str
    record: str | None
    """None: of a record that is not saved."""
    rule: str
    trigger: str
    created: datetime | None
    written: datetime | None


def _verify(source: Source, delivery: Delivery) -> bool:
    return same(delivery.secret, source.secrets)


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    told = _notification(json_object(delivery.body), delivery)
    if told.trigger == "login" or told.model == "res.users.log":
        return _login(source, delivery, told)
    kind = _TRIGGERS.get(told.trigger)
    if kind is None:
        kind = "created" if told.created is not None and told.created == told.written else "updated"
    user, time = _who_and_when(told, kind)
    moment = told.created if kind == "created" else told.written
    made = record_event(
        source,
        fields,
        id=_identity(delivery, told, told.rule, f"{moment}{kind}" if moment is not None else None),
        kind=kind,
        time=time,
        user=user,
        object=told.model,
        record=told.record,
        # Odoo's false stands for an empty field of any type.
        values={name: None if value is False else value for name, value in told.body.items() if name not in _OWN},
        **_origin(source, user),
    )
    return Reading([made])


def _notification(body: dict[str, Any], delivery: Delivery) -> _Notification:
    model, record = text(body.get("_model")), key(body.get("_id", body.get("id")))
    if not model or record is None:
        raise MalformedError("has no _model and _id")
    unsaved = _UNSAVED.fullmatch(record)
    steps = delivery.steps
    trigger = steps[-1] if steps and steps[-1] in _TRIGGERS else ""
    action = _ACTION.fullmatch(text(body.get("_action"))[:_LONGEST_ACTION])
    return _Notification(
        body=body,
        model=model,
        record=unsaved[1] if unsaved else record,
        rule=steps[0] if steps and (len(steps) > 1 or not trigger) else action[1] if action else "",
        trigger=trigger,
        created=from_text(body.get("create_date"), naive=True),
        written=from_text(body.get("write_date"), naive=True),
    )


def _who_and_when(told: _Notification, kind: str) -> tuple[str | None, datetime | None]:
    """Return who did it and when; of a deletion the record knows neither, its last writer was another."""
    if kind == "deleted":
        return None, None
    creator, writer = _reference(told.body.get("create_uid")), _reference(told.body.get("write_uid"))
    if kind == "created":
        return creator or writer, told.created or told.written
    return writer, told.written


def _login(source: Source, delivery: Delivery, told: _Notification) -> Reading:
    """Return the login of the user who wrote to the log of logins, or whose own row tells of it."""
    own = told.model == "res.users"
    user = told.record if own else _reference(told.body.get("create_uid"))
    if user is None:
        return Reading([], [Bad("/create_uid", "is needed: choose it among the fields of the webhook")])
    time = from_text(told.body.get("login_date"), naive=True) if own else told.created
    made = event(
        source,
        id=_identity(delivery, told, "login", f"{time}" if time is not None else None),
        type="crm.session.login",
        time=time,
        user=user,
        **_origin(source, user),
    )
    return Reading([made()])


def _identity(delivery: Delivery, told: _Notification, rule: str, moment: str | None) -> str:
    """Return the identity of a change; without its time, the same body within one minute is the same change."""
    if moment is None:
        minute = delivery.received_at.replace(second=0, microsecond=0)
        return identity(rule, told.model, told.record, delivery.body.hex(), minute)
    return identity(rule, told.model, told.record or delivery.body.hex(), moment)


def _origin(source: Source, user: str | None) -> dict[str, str]:
    if user is not None and user in options(source, OdooOptions).software_users:
        return {"origin": "automation", "confidence": "inferred"}
    return {"origin": "unknown", "confidence": "none"}


def _reference(value: object) -> str | None:
    """Return the id of a many2one, which comes bare, or with its name after it."""
    return key((value[0] or value) if type(value) is list and value else value)


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
