"""``/v1/hooks/{source}``: a CRM's own deliveries, answered in its own manners.

Each is read once, verified before it is parsed, and acknowledged only when all of it has landed: events on the log,
what is unusable among the dead letters. A bad item never costs a neighbour, and no answer is outside the manners of
the sender, whatever comes in.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from schemas.events import Record
from schemas.sources import Source
from services.ingest import problems
from services.ingest.asgi import Answer, Application, Receive, Scope, Send, say
from services.ingest.bodies import MAX_BODY, SenderGoneError, read_body, unpack
from services.ingest.gate import several
from services.ingest.instruments import Instruments
from services.ingest.judging import judge, read
from services.ingest.landing import CrowdedError, Landing
from services.ingest.letters import letter_of, record_of
from services.ingest.limits import Limits
from services.ingest.post import LetterTooLargeError
from services.ingest.problems import Problem, RefusedError
from services.ingest.publisher import TOO_LARGE_FOR_LOG, OverloadedError
from services.ingest.registry import Registry, RegistryAwayError
from services.ingest.spool import SpoolError
from services.ingest.vendors.catalogue import VENDORS, kind_of
from services.ingest.vendors.shape import Bad, Delivery, Reply, Vendor, told
from services.kafka import LogUnavailableError
from services.sealing import Seal

log = logging.getLogger(__name__)

_PREFIX: Final = "/v1/hooks/"
_GZIP: Final = b"\x1f\x8b"
_MOST_UNPROVEN: Final = 64 << 20
"""How many bytes of strangers' deliveries may wait until it is known that they are strangers."""
_RETRY_AFTER: Final = b"retry-after"
_MOST_PARTS: Final = 150_000
"""How many objects and arrays a body may hold, sixty for each of 2,500 events: many that are empty pack to next to
nothing, and a stranger's body is read as well where the key stands in it."""
_LARGE: Final = 64 * 1024
"""Letters of larger bodies are made beside the event loop."""
BODY_LEFT_OUT: Final = "the body is larger than a letter may be, and was left out"


def _reply(problem: Problem) -> Reply:
    return Reply(problem.status, problem.body, problems.CONTENT_TYPE, problem.headers)


_UNKNOWN: Final = told(404, "There is no such source.")
_AWAY: Final = _reply(problems.REGISTRY_AWAY)
_BROKEN: Final = _reply(problems.BROKEN)
_WRONG_METHOD: Final = told(405, "Deliveries are sent with POST.", (b"allow", b"POST"))


class Hooks:
    """The ASGI application of the hooks; what is no hook goes to ``behind``."""

    def __init__(
        self,
        behind: Application,
        registry: Registry,
        landing: Landing,
        instruments: Instruments,
        *,
        clock: Callable[[], datetime],
        rate: int,
        public_url: str,
        own_url: str,
    ) -> None:
        self._behind = behind
        self._registry = registry
        self._landing = landing
        self._instruments = instruments
        self._clock = clock
        self._limits = Limits(rate)
        self._unproven = 0
        self._public_url = public_url.rstrip("/")
        self._own_url = own_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        kind = None if path.startswith(_PREFIX) else kind_of(path)
        if not path.startswith(_PREFIX) and kind is None:
            await self._behind(scope, receive, send)
            return
        source_id = ""
        try:
            source_id, reply = await self._answer(scope, receive, kind)
        except SenderGoneError:
            return
        except RegistryAwayError:
            reply = _AWAY
        except Exception:
            log.exception("a delivery failed")
            reply = _BROKEN
        self._instruments.hook_answered(source_id, reply.status)
        kind_of_body = ((b"content-type", reply.content_type),) if reply.body else ()
        await say(
            send, Answer(reply.status, reply.body, (*kind_of_body, *reply.headers)), silent=scope["method"] == "HEAD"
        )

    async def _answer(self, scope: Scope, receive: Receive, kind: str | None) -> tuple[str, Reply]:
        if kind is not None:
            return await self._answer_key_led(scope, receive, kind)
        named, *steps = scope["path"][len(_PREFIX) :].split("/")
        source = await self._source(named)
        if source is None:
            return "", _UNKNOWN
        vendor = VENDORS[source.kind]
        delivery = await self._delivery(scope, receive, steps, vendor, source)
        return source.id, delivery if isinstance(delivery, Reply) else await self._deal(vendor, source, delivery)

    async def _answer_key_led(self, scope: Scope, receive: Receive, kind: str) -> tuple[str, Reply]:
        """Answer a sender that knows a host and a key only: the key leads to the source."""
        vendor = VENDORS[kind]
        delivery = await self._delivery(scope, receive, scope["path"].split("/")[1:], vendor, None)
        if isinstance(delivery, Reply):
            return "", delivery
        key = vendor.key_of(delivery) if vendor.key_of is not None else None
        if key is not None and key not in self._registry.by_key:
            await self._look_again(delivery)
        source = self._registry.by_key.get(key or "")
        if source is None:
            greeting = _greeting(vendor, None, delivery)
            return "", greeting or vendor.manners.unauthorized
        return source.id, await self._deal(VENDORS[source.kind], source, delivery)

    async def _source(self, name: str) -> Source | None:
        source = self._registry.sources.get(name)
        if source is None and name:
            await self._look_again()
            source = self._registry.sources.get(name)
        return source

    async def _look_again(self, delivery: Delivery | None = None) -> None:
        """Wait for a fresh reading of the sources.

        Raises:
            RegistryAwayError: Postgres does not answer, or too much waits for it.
        """
        size = 0 if delivery is None else len(delivery.body)
        if self._registry.crowded or self._unproven + size > _MOST_UNPROVEN:
            raise RegistryAwayError("too much waits for it")
        if delivery is not None:
            vars(delivery).clear()  # a body that was read takes many times its bytes: a stranger's does not wait so
        self._unproven += size
        try:
            await self._registry.refresh()
        finally:
            self._unproven -= size

    async def _proven(self, vendor: Vendor, source: Source, delivery: Delivery) -> Source | None:
        """Return the source whose secret ``delivery`` shows; it may be newer than what is known here."""
        if vendor.verify(source, delivery):
            return source
        with contextlib.suppress(RegistryAwayError):
            await self._look_again(delivery)
        fresh = self._registry.sources.get(source.id)
        if fresh is None or fresh == source or fresh.kind != source.kind:
            return None
        return fresh if vendor.verify(fresh, delivery) else None

    async def _delivery(
        self, scope: Scope, receive: Receive, steps: Sequence[str], vendor: Vendor, source: Source | None
    ) -> Delivery | Reply:
        """Return the request as the adapter sees it, or what its sender is told instead."""
        headers = {str(name, "latin-1"): str(value, "latin-1") for name, value in scope["headers"]}
        if several(scope["headers"], b"authorization"):
            del headers["authorization"]  # several keys are none
        try:
            body = await read_body(receive, limit=MAX_BODY, too_large=problems.BODY_TOO_LARGE)
            if body[:2] == _GZIP:  # announced or not
                body = unpack(body, limit=MAX_BODY, too_large=problems.BODY_TOO_LARGE)
        except RefusedError as refused:
            if refused.problem is problems.BODY_TOO_LARGE:
                return vendor.manners.too_large
            # what cannot be unpacked stays as it came: it must be proved before anything is said of it, and is kept
        if len(body) > 2 * _MOST_PARTS and body.count(b"[") + body.count(b"{") > _MOST_PARTS:
            return vendor.manners.too_large
        parts = [step for step in steps if step]
        secret = parts.pop() if parts and vendor.key_of is None else None
        base = (source.options.public_url.rstrip("/") if source is not None else "") or self._public_url
        query: bytes = scope["query_string"]
        address = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        return Delivery(
            method=scope["method"],
            steps=tuple(parts),
            secret=secret,
            query=query,
            url=f"{base or self._own_url}{address}{'?' if query else ''}{query.decode('latin-1')}",
            headers=headers,
            body=body,
            received_at=self._clock(),
            base=base,
        )

    async def _deal(self, vendor: Vendor, known: Source, delivery: Delivery) -> Reply:
        manners = vendor.manners
        greeting = _greeting(vendor, known, delivery)
        if greeting is not None:
            return greeting
        if delivery.method != "POST":
            return _WRONG_METHOD
        source = await self._proven(vendor, known, delivery)
        if source is None:
            return manners.unauthorized
        if not manners.never_retries:  # whoever does not come again is not sent away
            wait = self._limits.wait(source.id, source.options.requests_per_second, delivery.received_at.timestamp())
            if wait:
                return _later(manners.limited, wait)
        return await self._take(vendor, source, delivery)

    async def _take(self, vendor: Vendor, source: Source, delivery: Delivery) -> Reply:
        """Read a delivery that has proved itself, and answer it when all of it has landed."""
        manners = vendor.manners
        reading, malformed = read(vendor, source, delivery, self._registry.fields(source.tenant))
        records, bad = judge(source, reading, delivery.received_at)
        try:
            too_large = await self._land(vendor, source, delivery, records, bad)
        except CrowdedError:
            return _later(manners.limited, 1)
        except (LogUnavailableError, OverloadedError, SpoolError):
            return manners.overloaded
        self._instruments.judged(accepted=len(records) - too_large, rejected=len(bad) + too_large)
        if malformed:
            return manners.malformed
        return manners.accepted if vendor.accept is None else vendor.accept(delivery)

    async def _land(
        self, vendor: Vendor, source: Source, delivery: Delivery, records: Sequence[Record], bad: Sequence[Bad]
    ) -> int:
        """Land the events, and one letter of all that is bad; return how many events are too large for the log."""
        terms = self._landing.terms(
            source.tenant,
            int(delivery.received_at.timestamp() * 1000),
            vendor.manners.seconds,
            spools=vendor.manners.never_retries,
        )
        too_large = len(await self._landing.take(records, terms)) if records else 0
        if bad or too_large:
            if self._registry.seal is None:
                raise LogUnavailableError("a letter cannot be sealed")
            reasons = [*bad, *[Bad("", TOO_LARGE_FOR_LOG)] * too_large]
            try:
                await self._landing.keep(await _letter(vendor, source, delivery, reasons, self._registry.seal), terms)
            except LetterTooLargeError:
                reasons.insert(0, Bad("", BODY_LEFT_OUT))
                bare = msgspec.structs.replace(delivery, body=b"")
                await self._landing.keep(await _letter(vendor, source, bare, reasons, self._registry.seal), terms)
        return too_large


async def _letter(vendor: Vendor, source: Source, delivery: Delivery, bad: Sequence[Bad], seal: Seal) -> Record:
    """Return the dead letter of ``delivery``; a large one is packed and sealed beside the event loop."""

    def compose() -> Record:
        return record_of(source, letter_of(source, delivery, vendor.scrub), bad, seal)

    return await asyncio.to_thread(compose) if len(delivery.body) > _LARGE else compose()


def _later(reply: Reply, seconds: float) -> Reply:
    """Return ``reply`` with when to come back, in whole seconds."""
    headers = [header for header in reply.headers if header[0] != _RETRY_AFTER]
    return reply._replace(headers=(*headers, (_RETRY_AFTER, b"%d" % max(1, math.ceil(seconds)))))


def _greeting(vendor: Vendor, source: Source | None, delivery: Delivery) -> Reply | None:
    return None if vendor.greet is None else vendor.greet(source, delivery)
