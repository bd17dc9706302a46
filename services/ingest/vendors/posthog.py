"""PostHog: captured events with a project key in the body, in any of the encodings of its libraries. Pure.

What the body is, is told from the body: JSON, a bare array, or a form with base64 in it; gzip is unpacked before. Of
PostHog's own events (``$…``) only views and clicks are a person's deeds.
"""

import base64
import binascii
import re
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import UUID

from schemas.fields import FieldRegistry
from schemas.sources import Source
from services.ingest.vendors import analytics
from services.ingest.vendors.analytics import NOWHERE, Deed, Place
from services.ingest.vendors.documents import json_value, key, listing, mapping, text
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import Delivery, MalformedError, Reading, Reply, Vendor, from_text, same, told

CAPTURE: Final = ("/batch", "/e", "/i/v0/e", "/capture", "/track", "/i/v1/analytics/events")
QUESTIONS: Final = ("/flags", "/decide")
ARRAY: Final = "/array/"

_KEYS: Final = ("api_key", "token", "$token")
_FORM: Final = b"data="
_MOST_FIELDS: Final = 16
_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_VIEWS: Final = {"$pageview": "page", "$screen": "screen", "$autocapture": "click"}
_WEB: Final = frozenset({"web", "js"})
_MOBILE: Final = re.compile(r"android|ios|flutter|react-native", re.IGNORECASE)
_TIME_ORDERED: Final = 7
_MOST_ESCAPES: Final = 100_000
"""Base64 needs an escape for a plus, a slash and the padding only."""


def _decoded(body: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    return json_value(_plain(body))


def _plain(body: bytes) -> bytes:
    """Return the JSON in ``body``, whether it stands there or in base64 in a form."""
    if not body.startswith(_FORM):
        return body
    if body.count(b"%") > _MOST_ESCAPES:
        raise MalformedError("has too many escapes")
    try:
        given = parse_qs(body.decode("ascii"), max_num_fields=_MOST_FIELDS).get("data", [""])[0]
        return base64.b64decode(given.replace(" ", "+"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise MalformedError("is no form with base64 in it") from error


def _items(body: object) -> tuple[list[Any], str]:
    """Return the captured events of a body, and the pointer to each."""
    if isinstance(body, list):
        return body, "/{}"
    whole = mapping(body)
    if isinstance(whole.get("batch"), list):
        return whole["batch"], "/batch/{}"
    if "event" not in whole:
        raise MalformedError("has no events")
    return [whole], ""


def _key_of(delivery: Delivery) -> str | None:
    """Return the project key, wherever a library puts it."""
    bearer = _BEARER.fullmatch(delivery.headers.get("authorization", ""))
    if bearer is not None:
        return bearer[1]
    try:
        body = analytics.document(delivery, _decoded)
    except MalformedError:
        body = None
    first = next(iter(listing(body if isinstance(body, list) else mapping(body).get("batch"))), None)
    for place in (mapping(body), mapping(first), *(mapping(mapping(it).get("properties")) for it in (body, first))):
        for name in _KEYS:
            if given := text(place.get(name)):
                return given
    return delivery.parameters.get("token") or delivery.parameters.get("api_key")


def _verify(source: Source, delivery: Delivery) -> bool:
    return same(_key_of(delivery), source.secrets)


def _parse(source: Source, delivery: Delivery, _fields: FieldRegistry) -> Reading:
    body = analytics.document(delivery, _decoded)
    items, pointer = _items(body)
    sent_at = mapping(body).get("sent_at") or delivery.headers.get("posthog-request-timestamp")
    read = partial(_deed, source, delivery.received_at, from_text(sent_at, naive=True))
    return analytics.read_items(source, items, pointer, read)


def _deed(source: Source, received_at: datetime, sent_at: datetime | None, item: dict[str, Any]) -> Deed | None:
    name = item.get("event")
    if not isinstance(name, str):
        raise UnfitError("/event", "must be text")
    properties = mapping(item.get("properties"))
    analytics.check_key(source, item, *_KEYS)
    analytics.check_key(source, properties, *_KEYS, at="/properties")
    view = _VIEWS.get(name)
    if view is None and name.startswith("$"):
        return None
    given = item.get("distinct_id", properties.get("distinct_id"))
    user = analytics.person(given)
    if user is None:
        raise UnfitError("/distinct_id", "is required")
    if _is_anonymous(user, properties, mapping(item.get("options"))):
        return None
    stated = analytics.moment(item, "timestamp")
    keeps_clock = (properties.get("$ignore_sent_at"), mapping(item.get("options")).get("disable_skew_correction"))
    known = analytics.without({name: item[name] for name in item if name != "sent_at"}, frozenset(_KEYS))
    return Deed(
        id=analytics.mark(key(item.get("uuid")), mapping(known), stated, received_at),
        user=user,
        time=stated if True in keeps_clock else analytics.by_our_clock(stated, sent_at, received_at),
        place=_place(properties),
        name=view or name,
        is_view=view is not None,
        noun=properties.get("object"),
        record=properties.get("record"),
    )


def _is_anonymous(user: str | int, properties: dict[str, Any], options: dict[str, Any]) -> bool:
    """Whether nobody was identified: the library says so, or it has made up the id itself."""
    identified = properties.get("$is_identified")
    if user in (properties.get("$device_id"), properties.get("$anon_distinct_id")):
        return True
    if isinstance(identified, bool):
        return not identified
    made_up = _uuid(user)
    if made_up is None:
        return False
    profile = properties.get("$process_person_profile", options.get("process_person_profile"))
    in_client = _place(properties) is not NOWHERE
    return profile is False or (in_client and made_up.version == _TIME_ORDERED)


def _uuid(user: str | int) -> UUID | None:
    try:
        return UUID(user) if isinstance(user, str) else None
    except ValueError:
        return None


def _place(properties: dict[str, Any]) -> Place:
    library = text(properties.get("$lib"))
    if library in _WEB:
        return Place("ui", "inferred")
    return Place("mobile", "inferred") if _MOBILE.search(library) else NOWHERE


def _scrub(body: bytes) -> bytes:
    try:
        return analytics.scrubbed(_plain(body), frozenset(_KEYS))
    except MalformedError:
        return b""  # what is in it cannot be told, so it is not kept


def _greet(source: Source | None, delivery: Delivery) -> Reply | None:
    """Answer preflights, and the questions for flags and remote settings: there are none."""
    if delivery.method == "OPTIONS":
        return analytics.preflight(delivery)
    path = "/" + "/".join(delivery.steps)
    if path in QUESTIONS or path.startswith(ARRAY):
        return told(404, "There is nothing here.", *analytics.OPEN) if path.endswith(".js") else _NOTHING_SET
    if source is None and delivery.method == "POST":
        try:
            analytics.document(delivery, _decoded)
        except MalformedError:
            return _MANNERS.malformed
    return None


def _accept(delivery: Delivery) -> Reply:
    """Return the answer to events that were taken: version 1 wants a result for each that was not."""
    return _ACCEPTED_V1 if delivery.steps[:2] == ("i", "v1") else _ACCEPTED


def _refused(code: str, message: str) -> object:
    return {"type": "validation_error", "code": code, "detail": message, "attr": None}


_ACCEPTED: Final = analytics.answer(200, b'{"status":1}')
_ACCEPTED_V1: Final = analytics.answer(200, b'{"results":{}}')
_NOTHING_SET: Final = analytics.answer(
    200,
    {
        "flags": {},
        "featureFlags": {},
        "featureFlagPayloads": {},
        "errorsWhileComputingFlags": False,
        "supportedCompression": ["gzip", "gzip-js"],
        "sessionRecording": False,
        "surveys": False,
        "heatmaps": False,
    },
)
_MANNERS: Final = analytics.manners(_ACCEPTED, _refused)

VENDOR: Final = Vendor(
    kind="posthog",
    manners=_MANNERS,
    verify=_verify,
    parse=_parse,
    greet=_greet,
    key_of=_key_of,
    scrub=_scrub,
    accept=_accept,
)
