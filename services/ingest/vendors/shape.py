"""What every adapter takes and gives. Pure.

An adapter is a ``Vendor``: it verifies a delivery, parses it into CloudEvents that ``normalise`` then makes safe, and
names its manners, since each sender reads status codes in its own way. It never raises but ``MalformedError``, keeps
no text of a field, and gives the same events for the same delivery.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec

from schemas.fields import FieldRegistry
from schemas.sources import Options, Source
from services.ingest.problems import CONTENT_TYPE, RETRY_SOON, problem
from services.ingest.vendors.values import add_facts

NOTHING: Final = b""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT: Final = 1 << 42
"""Milliseconds up to the year 2109: as seconds in floating point they still are exact to the microsecond."""
_MOST_PARAMETERS: Final = 64


class Delivery(msgspec.Struct, frozen=True, dict=True):
    """One request, as the adapter sees it."""

    method: str
    steps: tuple[str, ...]
    """The path after ``/v1/hooks/{source}``, in its parts, without the secret; for key-led senders, their own path."""
    secret: str | None
    """The last part of the path, where the CRM can only put a secret in the address."""
    query: bytes
    url: str
    """The whole address as the sender is configured to know it; where nothing says it, as the set-up shows it."""
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes
    """Unpacked."""
    received_at: datetime
    base: str = ""
    """Where senders are configured to reach us, without the path; empty: nothing says it."""

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query, the first of each name; nothing when there are too many."""
        if self.query.count(b"&") >= _MOST_PARAMETERS:
            return {}
        found = parse_qs(self.query.decode("latin-1"), max_num_fields=_MOST_PARAMETERS)
        return {name: values[0] for name, values in found.items()}


class Bad(NamedTuple):
    """An item of a delivery that is no event: where it stands, and why."""

    pointer: str
    reason: str


class Reading(NamedTuple):
    """What a delivery holds: events for ``normalise``, and items that are none."""

    events: list[dict[str, Any]]
    bad: list[Bad] = []  # noqa: RUF012 - a tuple's default, never changed


class MalformedError(ValueError):
    """The delivery as a whole cannot be read. The message repeats nothing of it."""


class Reply(NamedTuple):
    """What the sender is told."""

    status: int
    body: bytes = NOTHING
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Manners(NamedTuple):
    """How a kind of sender wants to be told (crm-formats: what to answer)."""

    accepted: Reply
    unauthorized: Reply
    malformed: Reply
    overloaded: Reply
    limited: Reply
    too_large: Reply
    never_retries: bool = False
    """What such a sender sends is lost unless it is taken: it goes to the spool when the log does not take it."""
    seconds: float = 5.0
    """How long the answer may wait for the log."""


class Vendor(NamedTuple):
    """An adapter."""

    kind: str
    manners: Manners
    verify: Callable[[Source, Delivery], bool]
    parse: Callable[[Source, Delivery, FieldRegistry], Reading]
    greet: Callable[[Source | None, Delivery], Reply | None] | None = None
    """Answers what is no delivery: a challenge, a preflight, a question for settings. None: nothing to say."""
    key_of: Callable[[Delivery], str | None] | None = None
    """The key that a key-led sender shows, wherever it puts it."""
    scrub: Callable[[bytes], bytes] | None = None
    """Takes credentials out of a body that is kept as a dead letter."""
    accept: Callable[[Delivery], Reply] | None = None
    """What the sender of this very delivery is told once it is taken. None: the same for all, ``manners.accepted``."""


_Options = TypeVar("_Options", bound=Options)


def options(source: Source, kind: type[_Options]) -> _Options:
    """Return the options of ``source``, which are of ``kind``; the defaults when they are of another."""
    return source.options if isinstance(source.options, kind) else kind()


def told(status: int, detail: str, *headers: tuple[bytes, bytes]) -> Reply:
    """Return a refusal as an RFC 9457 problem."""
    made = problem(status, detail, *headers)
    return Reply(made.status, made.body, CONTENT_TYPE, made.headers)


UNAUTHORIZED: Final = told(401, "The signature or secret is not the one of this source.")
MALFORMED: Final = told(400, "The body is not what this kind of source sends.")
OVERLOADED: Final = told(503, "The log does not take events now. Send them again.", RETRY_SOON)
LIMITED: Final = told(429, "This source sends faster than it may.", RETRY_SOON)
TOO_LARGE: Final = told(413, "A body has at most 5 MiB after decompression.")
OK: Final = Reply(200, b"{}")


def same(given: str | bytes | None, secrets: Iterable[str]) -> bool:
    """Whether ``given`` is one of ``secrets``, in constant time for each; nothing equals an empty secret."""
    if not given:
        return False
    shown = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else given
    found = False
    for secret in secrets:
        found |= bool(secret) & hmac.compare_digest(shown, secret.encode())
    return found


def identity(*parts: object) -> str:
    """Return an event id of ``parts``: short, the same for the same parts, and nothing of them readable."""
    text = "\x00".join(map(str, parts))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def instant(moment: datetime) -> str:
    """Return ``moment`` as the log spells it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_milliseconds(value: object) -> datetime | None:
    """Return the instant of milliseconds since 1970; None when it is none."""
    if type(value) is not int:
        return None
    if 0 <= value < _EXACT:
        return datetime.fromtimestamp(value / 1000, UTC)
    try:
        return EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        return None


def from_text(value: object, *, naive: bool = False) -> datetime | None:
    """Return the instant in ISO 8601 text; without an offset only when ``naive`` says that such text is UTC."""
    if type(value) is not str or not 16 <= len(value) <= 40:  # noqa: PLR2004 - the shortest and longest there are
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC) if naive else None
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def record_event(
    source: Source,
    fields: FieldRegistry,
    *,
    id: str,  # noqa: A002 - its name in CloudEvents
    kind: str,
    time: datetime | None,
    user: object,
    object: str,  # noqa: A002 - its name in the contract
    record: object,
    values: Mapping[str, Any] | None = None,
    origin: str = "unknown",
    confidence: str = "none",
    **more: Any,  # noqa: ANN401 - attributes of data
) -> dict[str, Any]:
    """Return the event that says a record was ``kind`` (created, updated, deleted, …).

    ``values`` are the fields as the CRM sent them: each becomes its state, the declared ones a typed fact as well.
    """
    noun = fields.nouns.get(object.casefold(), object)
    data: dict[str, Any] = {"object": noun, "record": _reference(record), **more}
    if values:
        add_facts(data, noun, values, fields)
    return _made(source, id, f"crm.record.{kind}", time, user, origin, confidence, data)


def event(
    source: Source,
    *,
    id: str,  # noqa: A002 - its name in CloudEvents
    type: str,  # noqa: A002 - the same
    time: datetime | None,
    user: object,
    origin: str = "unknown",
    confidence: str = "none",
) -> Callable[..., dict[str, Any]]:
    """Return a function from attributes of ``data`` to the event; absent ones are left out."""

    def with_data(**data: Any) -> dict[str, Any]:  # noqa: ANN401 - attributes of data
        return _made(source, id, type, time, user, origin, confidence, data)

    return with_data


def _made(
    source: Source,
    name: str,
    kind: str,
    time: datetime | None,
    user: object,
    origin: str,
    confidence: str,
    data: dict[str, Any],
) -> dict[str, Any]:
    """Return an event for ``normalise``, which leaves out what is None or empty, and spells the time."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": f"/hooks/{source.id}",
        "type": kind,
        "time": time,
        "data": {
            "user": _reference(user),
            "origin": origin,
            "origin_confidence": confidence,
            "environment": source.options.environment,
            **data,
        },
    }


def _reference(value: object) -> str | int | None:
    """Return a key of a person or record; ids stay text, and what is no id is nothing."""
    if type(value) is str:
        return value.strip() or None
    return value if type(value) is int else None
