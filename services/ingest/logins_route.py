"""``POST /v1/logins?format=F&source=ID``: a history of logins, as a CRM gives it out, onto the log.

It answers as the events intake does, row by row. A body is read beside the event loop, few at a time; what is sent
twice counts once. ``dry_run=true`` answers the same and appends nothing.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from services.ingest import problems
from services.ingest.asgi import Answer, Application, Receive, Scope, Send, landing, respond
from services.ingest.bodies import MAX_BODY, is_packed, read_body, unpack
from services.ingest.gate import Gate, by_name
from services.ingest.instruments import Instruments
from services.ingest.landing import Landing
from services.ingest.logins.catalogue import FORMATS, Refused, Sender, Taken, take
from services.ingest.logins.rows import MOST_ROWS, TooManyRowsError
from services.ingest.logins.shape import Format
from services.ingest.normalise import Rejection
from services.ingest.problems import RefusedError, problem
from services.ingest.publisher import TOO_LARGE_FOR_LOG
from services.ingest.registry import Registry
from services.ingest.vendors.shape import MalformedError, instant

PATH: Final = "/v1/logins"
_INTAKE: Final = "logins"
_SECONDS: Final = 20.0
_READERS: Final = 2
_MOST_PARAMETERS: Final = 16
_KINDS: Final = frozenset(
    {
        *(b"", b"text/csv", b"text/plain", b"text/tab-separated-values", b"application/csv", b"application/json"),
        *(b"application/vnd.ms-excel", b"application/octet-stream"),
    }
)

_UNKNOWN_FORMAT: Final = problem(400, f"The format must be one of {', '.join(sorted(FORMATS))}.")
_BAD_QUERY: Final = problem(400, "The query takes format, source and dry_run=true|false, each once.")
_NO_SUCH_SOURCE: Final = problem(404, "There is no such source.")
_ONLY_POST: Final = problem(405, "Logins are sent with POST.", (b"allow", b"POST"))
_TOO_MANY_ROWS: Final = problem(413, f"A body has at most {MOST_ROWS:,} rows.")
_NO_TABLE: Final = problem(415, "Send text/csv or application/json, in UTF-8.")


class _Asked(NamedTuple):
    form: Format
    source: str | None
    dry: bool


class Logins:
    """The ASGI application of histories of logins; everything else goes to ``behind``."""

    def __init__(
        self,
        behind: Application,
        gate: Gate,
        registry: Registry,
        landing: Landing,
        instruments: Instruments,
        clock: Callable[[], datetime],
    ) -> None:
        self._behind = behind
        self._gate = gate
        self._registry = registry
        self._landing = landing
        self._instruments = instruments
        self._clock = clock
        self._reading = asyncio.Semaphore(_READERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._behind(scope, receive, send)
            return
        told = functools.partial(self._instruments.hook_answered, _INTAKE)
        await respond(self._answer(scope, receive), send, told)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise RefusedError(_ONLY_POST)
        headers = by_name(scope["headers"])
        tenant = await self._gate.tenant(headers, b"")
        asked = _asked(scope["query_string"])
        sender = await self._sender(tenant, asked.source)
        body = await _body(headers, receive)
        received_at = self._clock()
        try:
            async with self._reading:
                taken = await asyncio.to_thread(take, asked.form, sender, body, received_at)
        except MalformedError as error:
            raise RefusedError(problem(400, f"The body {error}.")) from error
        except TooManyRowsError as error:
            raise RefusedError(_TOO_MANY_ROWS) from error
        if taken.records and not asked.dry:
            await self._land(tenant, taken, int(received_at.timestamp() * 1000))
        return self._outcome(taken, dry=asked.dry)

    async def _sender(self, tenant: str, named: str | None) -> Sender:
        if named is None:
            return Sender(tenant)
        source = self._registry.sources.get(named)
        if source is None:
            await self._gate.look_again()
            source = self._registry.sources.get(named)
        if source is None or source.tenant != tenant:
            raise RefusedError(_NO_SUCH_SOURCE)
        return Sender(tenant, source)

    async def _land(self, tenant: str, taken: Taken, received_ms: int) -> None:
        """Land the records; rows too large for the log join the refused ones."""
        with landing():
            terms = self._landing.terms(tenant, received_ms, _SECONDS, spools=False)
            too_large = await self._landing.take(taken.records, terms)
        taken.refused.extend(Refused(taken.places[n], Rejection("", TOO_LARGE_FOR_LOG)) for n in too_large)

    def _outcome(self, taken: Taken, *, dry: bool) -> Answer:
        rejected = [
            {"index": row, "id": told.id, "pointer": told.pointer, "reason": told.reason}
            for row, told in sorted(taken.refused, key=lambda refused: refused.row)
        ]
        accepted = len(set(taken.places) - {it.row for it in taken.refused})
        if not dry:
            self._instruments.judged(accepted=accepted, rejected=len(rejected))
        newest = None if taken.newest is None else instant(taken.newest)
        body = {"accepted": accepted, "rejected": rejected, "skipped": taken.skipped, "newest": newest}
        status = 422 if rejected and not accepted and not taken.skipped else 202
        return Answer(status, msgspec.json.encode(body))


def _asked(query: bytes) -> _Asked:
    try:
        pairs = parse_qsl(
            query.decode(), keep_blank_values=True, strict_parsing=bool(query), max_num_fields=_MOST_PARAMETERS
        )
    except ValueError as error:
        raise RefusedError(_BAD_QUERY) from error
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= {"format", "source", "dry_run"}:
        raise RefusedError(_BAD_QUERY)
    form = FORMATS.get(given.get("format", ""))
    if form is None:
        raise RefusedError(_UNKNOWN_FORMAT)
    if given.get("dry_run", "false") not in ("true", "false"):
        raise RefusedError(_BAD_QUERY)
    return _Asked(form, given.get("source"), given.get("dry_run") == "true")


async def _body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
    if kind.strip().lower() not in _KINDS or not _is_utf8(parameters):
        raise RefusedError(_NO_TABLE)
    packed = is_packed(headers.get(b"content-encoding", b""))
    body = await read_body(receive, limit=MAX_BODY, too_large=problems.BODY_TOO_LARGE)
    return unpack(body, limit=MAX_BODY, too_large=problems.BODY_TOO_LARGE) if packed else body


def _is_utf8(parameters: bytes) -> bool:
    name, _, value = parameters.strip().lower().partition(b"=")
    return name != b"charset" or value.strip(b' "') in (b"utf-8", b"utf8", b"us-ascii")
