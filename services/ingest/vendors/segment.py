"""Segment, and whatever speaks its tracking API: calls at ``/v1/*`` with a write key. Pure.

The browser library sends JSON as text/plain to paths of one letter and asks for settings first. A bad call among
others is acknowledged and kept, since no library repeats a part of a batch.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from schemas.fields import FieldRegistry
from schemas.sources import Source
from services.ingest.vendors import analytics
from services.ingest.vendors.analytics import NOWHERE, Deed, Place
from services.ingest.vendors.documents import authorization, json_value, key, listing, mapping, text
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import Delivery, MalformedError, Manners, Reading, Reply, Vendor, from_text, same

CALLS: Final = {
    **{name: name for name in ("track", "identify", "page", "screen", "group", "alias")},
    **{name[0]: name for name in ("track", "identify", "page", "screen", "group", "alias")},
    **dict.fromkeys(("batch", "b", "import"), ""),
}
"""The call that each path under /v1 is; none for those that take a batch of any."""
_KINDS: Final = frozenset(CALLS.values()) - {""}
_ABOUT_PEOPLE: Final = frozenset({"identify", "group", "alias"})
PROJECTS: Final = "/v1/projects/"
_KEYS: Final = frozenset({"writeKey"})
_CHANNELS: Final = {"web": "ui", "browser": "ui", "mobile": "mobile"}
_MOBILE: Final = re.compile(r"android|ios|kotlin|swift|react-native|reactnative|flutter|xamarin|maui", re.IGNORECASE)
_WEB: Final = re.compile(r"analytics\.js|javascript|analytics-next|analytics-browser", re.IGNORECASE)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:]{2,45}\](:[0-9]{1,5})?")
_LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")


def key_of(delivery: Delivery) -> str | None:
    """Return the write key: the user of HTTP Basic, else that of the address, the body, or its first call."""
    for given in authorization(delivery.headers)[2:]:
        user, _, _ = given.partition(b":")
        if user:
            return user.decode("utf-8", "replace")
    if delivery.steps[:2] == ("v1", "projects") and len(delivery.steps) > 2:  # noqa: PLR2004 - the key is the third
        return delivery.steps[2]
    if shown := delivery.parameters.get("writeKey"):
        return shown
    try:
        body = mapping(analytics.document(delivery, json_value))
    except MalformedError:
        return None
    first = next(iter(listing(body.get("batch"))), None)
    return text(body.get("writeKey")) or text(mapping(first).get("writeKey")) or None


def verify(source: Source, delivery: Delivery) -> bool:
    """Whether the key that is shown is one of ``source``."""
    return same(key_of(delivery), source.secrets)


def parse(source: Source, delivery: Delivery, _fields: FieldRegistry) -> Reading:
    """Return the events of one call or of a batch."""
    body = analytics.document(delivery, json_value)
    if not isinstance(body, dict):
        raise MalformedError("is not a JSON object")
    call = CALLS.get(delivery.steps[-1] if delivery.steps else "")
    if call is None:
        raise MalformedError("was sent to no path of the tracking API")
    sent_at = from_text(body.get("sentAt") or delivery.headers.get("sentat"), naive=True)
    read = partial(_deed, source, delivery.received_at, sent_at, call)
    if call:
        return analytics.read_items(source, [body], "", read)
    if not isinstance(body.get("batch"), list):
        raise MalformedError("has no batch")
    return analytics.read_items(source, body["batch"], "/batch/{}", read)


def _deed(
    source: Source, received_at: datetime, sent_at: datetime | None, call: str, item: dict[str, Any]
) -> Deed | None:
    kind = call or text(item.get("type")) or text(item.get("action"))
    if kind not in _KINDS:
        raise UnfitError("/type", "must be a call of the tracking API")
    analytics.check_key(source, item, *_KEYS)
    user = analytics.person(item.get("userId"))
    if user is None and not key(item.get("anonymousId")):
        raise UnfitError("/userId", "is required unless there is an anonymousId")
    if user is None or kind in _ABOUT_PEOPLE:
        return None
    name = item.get("event") if kind == "track" else kind
    if not isinstance(name, str):
        raise UnfitError("/event", "must be text")
    stated = analytics.moment(item, "timestamp", "originalTimestamp")
    own_sent_at = from_text(item.get("sentAt"), naive=True) or sent_at
    corrected = item.get("receivedAt") is not None  # it has been through a collector, which has set its clock right
    known = {name: value for name, value in item.items() if name not in ("sentAt", "writeKey")}
    properties = mapping(item.get("properties"))
    return Deed(
        id=analytics.mark(key(item.get("messageId")), known, stated, received_at),
        user=user,
        time=stated if corrected else analytics.by_our_clock(stated, own_sent_at, received_at),
        place=_place(item, kind),
        name=name,
        is_view=kind != "track",
        noun=properties.get("object"),
        record=properties.get("record"),
    )


def _place(item: dict[str, Any], kind: str) -> Place:
    """Return where it was done: stated by the channel, or told from the device and the library."""
    channel = _CHANNELS.get(text(item.get("channel")).casefold())
    if channel is not None:
        return Place(channel, "stated")
    context = mapping(item.get("context"))
    library = text(mapping(context.get("library")).get("name"))
    if _WEB.search(library) and kind != "screen":
        return Place("ui", "inferred")
    device = " ".join(text(mapping(context.get(part)).get(name)) for part, name in (("device", "type"), ("os", "name")))
    if kind == "screen" or _MOBILE.search(library) or _MOBILE.search(device):
        return Place("mobile", "inferred")
    is_page = kind == "page" or isinstance(context.get("page"), dict)
    return Place("ui", "inferred") if is_page else NOWHERE


def scrub(body: bytes) -> bytes:
    """Return ``body`` without the write key."""
    return analytics.scrubbed(body, _KEYS)


def greeting(
    manners: Manners, settings: Callable[[Source, Delivery], object]
) -> Callable[[Source | None, Delivery], Reply | None]:
    """Return what answers preflights and questions for ``settings``, and tells what is unreadable from a wrong key."""

    def greet(source: Source | None, delivery: Delivery) -> Reply | None:
        if delivery.method == "OPTIONS":
            return analytics.preflight(delivery)
        if delivery.method in ("GET", "HEAD") and source is not None and verify(source, delivery):
            if delivery.steps[-1:] in (("settings",), ("sourceConfig",)):
                return analytics.answer(200, settings(source, delivery))
        elif source is None and delivery.method == "POST":
            try:
                analytics.document(delivery, json_value)
            except MalformedError:
                return manners.malformed
        return None

    return greet


def _settings(source: Source, delivery: Delivery) -> object:
    """Return the settings that the browser library asks for: it shall send its calls here, and nowhere else."""
    protocol, address = _base(source, delivery)
    own: dict[str, Any] = {
        "apiKey": key_of(delivery),
        "apiHost": f"{address}/v1",
        "protocol": protocol,
        "unbundledIntegrations": [],
    }
    everything = {"__default": {"enabled": True, "integrations": {}}}
    return {
        "integrations": {"Segment.io": own},
        "plan": {"track": everything, "identify": everything, "group": everything},
        "edgeFunction": {},
        "enabledMiddleware": {},
        "middlewareSettings": {},
        "metrics": {"sampleRate": 0},
        "remotePlugins": [],
    }


def _base(source: Source, delivery: Delivery) -> tuple[str, str]:
    """Return the protocol and the address under which a browser reaches us: as configured, else as it has asked."""
    configured = urlsplit(source.options.public_url or delivery.base)
    if configured.netloc:
        return configured.scheme, f"{configured.netloc}{configured.path.rstrip('/')}"
    host = delivery.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = ""
    forwarded = delivery.headers.get("x-forwarded-proto", "")
    local = host.startswith(_LOCAL)
    return forwarded if forwarded in ("http", "https") else "http" if local else "https", host


def refused(code: str, message: str) -> object:
    """Return a refusal as the libraries read it."""
    return {"code": code, "message": message}


_MANNERS: Final = analytics.manners(analytics.answer(200, {"success": True}), refused)

VENDOR: Final = Vendor(
    kind="segment",
    manners=_MANNERS,
    verify=verify,
    parse=parse,
    greet=greeting(_MANNERS, _settings),
    key_of=key_of,
    scrub=scrub,
)
