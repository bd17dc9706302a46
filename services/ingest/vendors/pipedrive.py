"""Pipedrive webhooks, v2 and v1: one change of one object, proved by HTTP Basic. Pure.

Ten failed first deliveries stop the webhook for half an hour, and what happens then is lost: after the right password
everything is acknowledged. The changed fields are those of ``previous``. A user whose ``last_login`` is newer than
before has logged in.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.fields import FieldRegistry
from schemas.sources import PipedriveOptions, Source
from services.ingest.vendors.documents import authorization, json_object, key, listing, mapping, number, text
from services.ingest.vendors.shape import (
    LIMITED,
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
    from_milliseconds,
    from_text,
    identity,
    options,
    record_event,
    same,
)
from services.ingest.vendors.stages import Stage, stage_of

_KINDS: Final = {
    "create": "created",
    "change": "updated",
    "delete": "deleted",
    "merge": "merged",
    "added": "created",
    "updated": "updated",
    "deleted": "deleted",
    "merged": "merged",
}
_OWN: Final = frozenset(
    {
        *("id", "add_time", "update_time", "modified", "created", "last_login", "creator_user_id", "company_id"),
        *("stage_change_time", "origin", "origin_id", "custom_fields", "visible_to", "cc_email"),
    }
)
"""Fields that the platform writes by itself."""
_STAGES: Final = frozenset({"stage_id"})
_SECONDS_END: Final = 100_000_000_000
"""Numbers below it are seconds since 1970, from it on milliseconds."""


class _Change(NamedTuple):
    """What a webhook says, in either version."""

    meta: dict[str, Any]
    kind: str
    object: str
    record: str | None
    data: dict[str, Any]
    previous: dict[str, Any] | None
    """What was there before, of the fields that changed; None: not told."""
    user: str | None
    time: datetime | None


def _verify(source: Source, delivery: Delivery) -> bool:
    """Whether user and password, ``user:password``, are a secret."""
    found = False
    for given in authorization(delivery.headers)[2:]:
        found |= same(given, source.secrets)
    return found


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    change = _change(json_object(delivery.body))
    company = options(source, PipedriveOptions).company
    if company and key(change.meta.get("company_id")) != company:
        return Reading([], [Bad("/meta/company_id", "is not the company of this source")])
    login = _login(source, change) if change.object == "user" and change.kind == "updated" else None
    return Reading([login or _event(source, fields, change)])


def _change(body: dict[str, Any]) -> _Change:
    meta = mapping(body.get("meta"))
    kind = _KINDS.get(text(meta.get("action")))
    noun = text(meta.get("entity")) or text(meta.get("object"))
    record = key(meta.get("entity_id")) or key(meta.get("id"))
    if kind is None or not noun or record is None:
        raise MalformedError("has no action, entity and id that are known")
    if meta.get("merged_to_id") is not None or meta.get("merged_from_id") is not None:
        kind = "merged"
    return _Change(
        meta=meta,
        kind=kind,
        object=noun,
        record=record,
        data=_row(body.get("data") or body.get("current"), record),
        previous=_row(body["previous"], record) if body.get("previous") else None,
        user=key(meta.get("user_id")),
        time=_moment(meta.get("timestamp")),
    )


def _row(value: object, record: str) -> dict[str, Any]:
    """Return the object with its custom fields beside the others; users come in an array."""
    rows = [mapping(each) for each in listing(value)]
    row = next((each for each in rows if key(each.get("id")) == record), rows[0] if rows else mapping(value))
    return row | mapping(row.get("custom_fields"))


def _login(source: Source, change: _Change) -> dict[str, Any] | None:
    """Return the login of a user whose own change brought a newer ``last_login``; None: it was another change."""
    previous = change.previous or {}
    now, before = _moment(change.data.get("last_login")), _moment(previous.get("last_login"))
    if now is None or "last_login" not in previous or (before is not None and before >= now):
        return None
    if change.user not in (None, change.record):
        return None  # an administrator's work on the user
    made = event(
        source,
        id=_identity(change),
        type="crm.session.login",
        time=now,
        user=change.record,
        origin="ui",
        confidence="inferred",
    )
    return made(email=text(change.data.get("email")))


def _event(source: Source, fields: FieldRegistry, change: _Change) -> dict[str, Any]:
    origin, confidence = _origin(change)
    values = _values(change)
    stage = stage_of(values if change.kind == "updated" else (), values, change.object, fields, _STAGES)
    if change.object == "activity" and change.kind == "updated" and "done" in values:
        stage = Stage(moved=True, name="done" if change.data.get("done") in (True, 1) else "open")
    bulk = change.meta.get("is_bulk_edit") is True or change.meta.get("is_bulk_update") is True
    return record_event(
        source,
        fields,
        id=_identity(change),
        kind=stage.kind(change.kind),
        time=change.time,
        user=change.user,
        object=change.object,
        record=change.record,
        values=values,
        origin=origin,
        confidence=confidence,
        bulk=True if bulk else None,
        **stage.told,
    )


def _values(change: _Change) -> dict[str, Any]:
    """Return the fields of a new object, or those that changed, by name."""
    if change.kind == "created":
        names = set(change.data)
    elif change.kind == "updated":
        previous = change.previous or {}
        names = {name for name, before in previous.items() if change.data.get(name) != before}
    else:
        return {}
    return {name: _plain(change.data.get(name)) for name in sorted(names - _OWN)}


def _plain(value: object) -> object:
    """Return the bare value of a reference or custom field; a list of them without the empty ones."""
    if isinstance(value, list):
        return [each for each in value if _plain(each) not in (None, "", [], {})]
    if isinstance(value, dict):
        return value.get("value", value.get("id", value))
    return value


def _identity(change: _Change) -> str:
    """Return the identity of a change: its own id, which the changes of users and those of v1 do not have."""
    meta = change.meta
    company, name = key(meta.get("company_id")), key(meta.get("id"))
    if "entity" in meta and change.object != "user" and name is not None:
        return identity(company, name)
    moment = key(meta.get("timestamp_micro")) or key(meta.get("timestamp"))
    return identity(company, key(meta.get("webhook_id")), change.object, change.record, change.kind, moment)


def _origin(change: _Change) -> tuple[str, str]:
    if text(change.meta.get("type")) == "application" or text(change.meta.get("change_source")) == "api":
        return "api", "stated"
    if change.kind == "created" and text(change.data.get("origin")).casefold() == "import":
        return "import", "inferred"
    return ("ui", "stated") if text(change.meta.get("change_source")) == "app" else ("unknown", "none")


def _moment(value: object) -> datetime | None:
    """Return the instant of seconds or milliseconds since 1970, or of ISO text, which is UTC."""
    count = number(value)
    if count is None:
        return from_text(value, naive=True)
    return from_milliseconds(count * 1000 if count < _SECONDS_END else count)


VENDOR: Final = Vendor(
    kind="pipedrive",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=OK,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        never_retries=True,
        seconds=3.0,
    ),
    verify=_verify,
    parse=_parse,
)
