"""What Segment, RudderStack and PostHog have in common: people's deeds, keys, clocks, and browsers. Pure.

Of what an application tracks only who did what, where and when is read: the name of the event, never a property's
value, but for the names of an object and a record that a view declares. Who is not identified is nobody, and what
nobody did is left out.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from schemas.sources import AnalyticsOptions, Source
from services.ingest.decoding import MAX_EVENTS
from services.ingest.problems import RETRY_SOON
from services.ingest.vendors.documents import json_value
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import (
    Bad,
    Delivery,
    MalformedError,
    Manners,
    Reading,
    Reply,
    event,
    from_text,
    identity,
    options,
)

_LONGEST_NAME: Final = 128
"""The name of an event is declared in a tracking plan; what is longer is no name."""
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_MINUTE: Final = timedelta(minutes=1)

OPEN: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after"),
)
"""Any page may send and read the answer. No answer ever allows credentials: the key in the request is all there is."""
_HEADERS: Final = frozenset({"authorization", "content-type", "content-encoding", "anonymousid", "sentat"})
_HEADER: Final = re.compile(r"(x-retry-count|(rsa|posthog)-[a-z-]{1,40})")
_MOST_HEADERS: Final = 64


class Place(NamedTuple):
    """Where something was done: the origin, and how that is known."""

    origin: str
    confidence: str


NOWHERE: Final = Place("unknown", "none")
"""A server tells what it was told, or what it did by itself."""


class Deed(NamedTuple):
    """What a person did."""

    id: str
    user: str | int
    time: datetime | None
    place: Place
    name: str
    """The name of the event, or of the kind of view."""
    is_view: bool = False
    noun: object = None
    """What kind of record, where one was viewed."""
    record: object = None


def event_of(source: Source, deed: Deed) -> dict[str, Any] | None:
    """Return the event of ``deed``; None when the source does not count such."""
    chosen = options(source, AnalyticsOptions)
    name = deed.name.strip()
    folded = name.casefold()
    if not 0 < len(name) <= _LONGEST_NAME:
        raise UnfitError("/event", f"must have 1 to {_LONGEST_NAME} characters")
    data: dict[str, Any] = {"email": deed.user if isinstance(deed.user, str) and "@" in deed.user else None}
    if deed.is_view:
        if not chosen.views_are_activity:
            return None
        noun, record = _reference(deed.noun), _reference(deed.record)
        is_record = noun is not None and record is not None
        kind = "crm.record.viewed" if is_record else "crm.feature.used"
        data |= {"object": noun, "record": record} if is_record else {"feature": name}
    elif any(folded == login.strip().casefold() for login in chosen.login_events):
        kind = "crm.session.login"
    elif any(folded == ignored.strip().casefold() for ignored in chosen.ignored_events):
        return None
    else:
        kind = "crm.feature.used"
        data["feature"] = name
    origin, confidence = deed.place
    return event(source, id=deed.id, type=kind, time=deed.time, user=deed.user, origin=origin, confidence=confidence)(
        **data
    )


def _reference(value: object) -> str | None:
    """Return the name of an object or record; prose is none."""
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else None


def read_items(
    source: Source, items: list[Any], pointer: str, read: Callable[[dict[str, Any]], Deed | None]
) -> Reading:
    """Return the events of ``items``; a bad one costs itself only.

    Raises:
        MalformedError: there are too many.
    """
    if len(items) > MAX_EVENTS:
        raise MalformedError(f"has more than {MAX_EVENTS} events")
    events: list[dict[str, Any]] = []
    bad: list[Bad] = []
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            bad.append(Bad(pointer.format(number), "must be an object"))
            continue
        try:
            deed = read(item)
            made = None if deed is None else event_of(source, deed)
        except UnfitError as unfit:
            bad.append(Bad(f"{pointer.format(number)}{unfit.place}", unfit.reason))
            continue
        if made is not None:
            events.append(made)
    return Reading(events, bad)


# ---------------------------------------------------------------- identity and time


def person(value: object) -> str | int | None:
    """Return the key of a person; None when nobody is named."""
    if type(value) is int:
        return value
    return value.strip() or None if isinstance(value, str) else None


def mark(own: str | None, item: dict[str, Any], stated: datetime | None, received_at: datetime) -> str:
    """Return the identity of ``item``: that of its own id, else that of what stands in it.

    What names neither an id nor a time is the same only within the minute of its arrival.
    """
    if own is not None:
        return identity(own)
    minute = "" if stated is not None else received_at.strftime("%Y-%m-%dT%H:%M")
    return identity(minute, msgspec.json.encode(item, order="deterministic").decode())


def moment(item: dict[str, Any], *names: str) -> datetime | None:
    """Return the instant under the first of ``names`` that is given; without an offset it is UTC.

    Raises:
        UnfitError: it is none.
    """
    for name in names:
        given = item.get(name)
        if given in (None, ""):
            continue
        found = from_text(given, naive=True)
        if found is None:
            raise UnfitError(f"/{name}", "must be an instant")
        return found
    return None


def by_our_clock(stated: datetime | None, sent_at: datetime | None, received_at: datetime) -> datetime | None:
    """Return ``stated`` by our clock, told from when the sender's clock says that it sent.

    Below a minute nothing is corrected, above it in whole minutes: a repeated delivery shall give the same instant,
    and a difference of less decides about no day.
    """
    if stated is None or sent_at is None:
        return stated
    try:
        return stated + int((received_at - sent_at) / _MINUTE) * _MINUTE
    except OverflowError:
        return stated


# ---------------------------------------------------------------- keys and documents


def document(delivery: Delivery, decode: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - whatever was sent
    """Return what ``decode`` makes of the body: the key, the proof and the events stand in it, it is read once."""
    kept = delivery.__dict__
    if "document" not in kept:
        kept["document"] = decode(delivery.body)
    return kept["document"]


def check_key(source: Source, item: dict[str, Any], *names: str, at: str = "") -> None:
    """Refuse an item that was tracked with another key than one of this source.

    Raises:
        UnfitError: it was.
    """
    for name in names:
        if isinstance(given := item.get(name), str) and given and given not in source.secrets:
            raise UnfitError(f"{at}/{name}", "is not a key of this source")


def scrubbed(body: bytes, names: frozenset[str]) -> bytes:
    """Return a body of JSON without the keys in it; one that is none as it stands."""
    try:
        return msgspec.json.encode(without(json_value(body), names))
    except (MalformedError, RecursionError):
        return body


def without(value: object, names: frozenset[str]) -> object:
    """Return ``value``, a decoded body, without the keys in it, its items, or their properties."""
    if isinstance(value, list):
        return [without(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: each for name, each in value.items() if name not in names}
    for name in ("batch", "properties"):
        if name in kept:
            kept[name] = without(kept[name], names)
    return kept


# ---------------------------------------------------------------- answers


def answer(status: int, content: object, *headers: tuple[bytes, bytes]) -> Reply:
    """Return an answer that any page may read."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Reply(status, body, headers=(*OPEN, *headers))


def manners(accepted: Reply, refused: Callable[[str, str], object]) -> Manners:
    """Return the manners of a kind that reads ``refused(code, message)``."""
    return Manners(
        accepted=accepted,
        unauthorized=answer(401, refused("unauthorized", "The key is not that of a source.")),
        malformed=answer(400, refused("invalid_request", "The body is not what such a sender sends.")),
        overloaded=answer(429, refused("unavailable", "The log does not take events now. Send again."), RETRY_SOON),
        limited=answer(429, refused("too_many_requests", "This source sends faster than it may."), RETRY_SOON),
        too_large=answer(413, refused("too_large", "A body has at most 5 MiB after decompression.")),
    )


def preflight(delivery: Delivery) -> Reply:
    """Return the answer to the browser's question whether a page may send; nothing is granted by it but to try."""
    asked = delivery.headers.get("access-control-request-headers", "")
    allowed = sorted(_HEADERS | set(_asked(asked)))
    return Reply(
        204,
        headers=(
            *OPEN,
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", ", ".join(allowed).encode()),
            (b"access-control-max-age", b"7200"),
            (b"vary", b"access-control-request-headers"),
        ),
    )


def _asked(names: str) -> Iterator[str]:
    for name in names.split(",", _MOST_HEADERS)[:_MOST_HEADERS]:
        if _HEADER.fullmatch(name.strip().lower()):
            yield name.strip().lower()
