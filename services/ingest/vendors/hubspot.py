"""HubSpot: signed batches of changes, one for each property. Pure.

A form that is saved with eight fields arrives as eight changes, in any order and perhaps in several batches. They are
one edit session: all changes of properties that one actor made to one record within one minute (UTC) are one
``crm.record.updated``, whose identity and time are functions of portal, object, record, actor and minute alone. So
however HubSpot batches and repeats, the copies are one event; when a batch is split, the first part to arrive stands
with its fields, and the others are copies of it. A move to another stage is an event of its own, as are creation,
deletion, merge and restoration: their identity is that of HubSpot's event.

A signature of exactly the version that the source requires must be there. Everything after it is answered with 200,
since HubSpot repeats whatever it is refused for a day.
"""

from typing import Any, Final

from schemas.fields import FieldRegistry
from schemas.sources import HubspotOptions, Source
from services.ingest.vendors.hubspot_changes import Change, change_of, items_of, last_instant, property_of, value_of
from services.ingest.vendors.hubspot_words import Actor
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import (
    LIMITED,
    OK,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Bad,
    Delivery,
    Manners,
    Reading,
    Vendor,
    event,
    from_milliseconds,
    identity,
    options,
    record_event,
)
from services.ingest.vendors.signatures import hubspot_is_signed
from services.ingest.vendors.stages import is_stage, stage_of

_STAGES: Final = frozenset({"dealstage", "hs_pipeline_stage", "lifecyclestage"})
_SINGLE: Final = {
    "creation": "created",
    "deletion": "deleted",
    "merge": "merged",
    "restore": "updated",
    "newMessage": "updated",
}


def _verify(source: Source, delivery: Delivery) -> bool:
    return hubspot_is_signed(
        options(source, HubspotOptions).signature,
        source.secrets,
        delivery.headers,
        method=delivery.method,
        url=delivery.url,
        body=delivery.body,
        received_at=delivery.received_at,
    )


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    bad: list[Bad] = []
    events: list[dict[str, Any]] = []
    sessions: dict[tuple[Any, ...], list[Change]] = {}
    only = options(source, HubspotOptions).portal
    latest = last_instant(delivery.received_at)
    for number, raw in enumerate(items_of(delivery.body)):
        try:
            change = change_of(raw, only, latest, fields)
            if _is_edit(change, fields):
                sessions.setdefault(change.session, []).append(change)
            else:
                events.append(_single(source, change, fields))
        except UnfitError as unfit:
            bad.append(Bad(f"/{number}{unfit.place}", unfit.reason))
    events += [_session(source, changes, fields) for changes in sessions.values()]
    return Reading(events, bad)


def _is_edit(change: Change, fields: FieldRegistry) -> bool:
    """Whether a change is part of an edit session, and no event of its own."""
    if change.action == "propertyChange":
        return not is_stage(property_of(change), change.noun, fields, _STAGES)
    return change.action == "associationChange"


def _single(source: Source, change: Change, fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of a change that stands for itself."""
    if change.action == "propertyChange":
        values = {property_of(change): value_of(change)}
        told = stage_of(values, values, change.noun, fields, _STAGES).told
        return _of_record(source, change, fields, change.own, "stage_changed", change.at, values=values, **told)
    kind = _SINGLE.get(change.action)
    if kind is not None:
        return _of_record(source, change, fields, change.own, kind, change.at)
    return _other(source, change)


def _other(source: Source, change: Change) -> dict[str, Any]:
    """Return the event of a request for erasure, or of a type that is not known here: that keeps its name."""
    is_request = change.action == "privacyDeletion"
    actor = Actor(None, "automation", "stated", bulk=False) if is_request else change.actor
    return event(
        source,
        id=change.own,
        type="privacy.deletion.requested" if is_request else f"hubspot.{change.family}.{change.action}",
        time=from_milliseconds(change.at),
        user=actor.user,
        origin=actor.origin,
        confidence=actor.confidence,
    )(object=change.noun, record=change.record)


def _session(source: Source, changes: list[Change], fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of an edit session: each property as it was last."""
    if len(changes) > 1:
        changes = sorted(changes, key=lambda change: change.at)
    values = {change.raw.propertyName: value_of(change) for change in changes if change.action == "propertyChange"}
    first = changes[0]
    id_ = identity(first.action, first.portal, first.object, first.record, *first.actor, first.minute)
    return _of_record(source, first, fields, id_, "updated", first.minute, values=values)


def _of_record(
    source: Source,
    change: Change,
    fields: FieldRegistry,
    id_: str,
    kind: str,
    at: int,
    **more: Any,  # noqa: ANN401 - attributes of data
) -> dict[str, Any]:
    return record_event(
        source,
        fields,
        id=id_,
        kind=kind,
        time=from_milliseconds(at),
        user=change.actor.user,
        object=change.noun,
        record=change.record,
        origin=change.actor.origin,
        confidence=change.actor.confidence,
        bulk=change.actor.bulk or None,
        **more,
    )


VENDOR: Final = Vendor(
    kind="hubspot",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=OK,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        seconds=3.0,
    ),
    verify=_verify,
    parse=_parse,
)
