"""``POST /v1/replays``: dead letters once more, with the adapter, options and fields of today.

The instant at which a letter was received stays the one it was, and so do the identities of its events: what is on the
log already is not counted again, however often a letter is replayed.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from schemas.events import EARLIEST
from schemas.letters import Letter
from services.ingest import problems
from services.ingest.asgi import Answer, Application, Receive, Scope, Send, landing, respond
from services.ingest.bodies import MAX_BODY, is_packed, read_body, unpack
from services.ingest.gate import Gate, by_name
from services.ingest.instruments import Instruments
from services.ingest.judging import judge, read
from services.ingest.landing import Landing
from services.ingest.letters import delivery_of
from services.ingest.problems import RefusedError
from services.ingest.publisher import TOO_LARGE_FOR_LOG
from services.ingest.registry import Registry, RegistryAwayError
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import Bad

PATH: Final = "/v1/replays"
SCOPES: Final = frozenset({"ingest", "manage", "admin"})
MOST_LETTERS: Final = 500
_MOST_UNPACKED: Final = 4 * MAX_BODY
_SECONDS: Final = 10.0
_INTAKE: Final = "replays"
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""How far ahead of ours the clock may be of the process that received a letter."""

_Short = Annotated[str, msgspec.Meta(max_length=256)]


class _Letter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A letter as it is asked for."""

    id: _Short
    source: _Short
    received_at: Annotated[datetime, msgspec.Meta(tz=True)]
    method: str = "POST"
    steps: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    body_base64: bytes = b""


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    letters: Annotated[list[_Letter], msgspec.Meta(max_length=MOST_LETTERS)]


class _Told(msgspec.Struct):
    """What became of a letter: events on the log, and what is still bad."""

    id: str
    accepted: int
    bad: list[dict[str, str]]


_decode = msgspec.json.Decoder(_Asked).decode


class Replays:
    """The ASGI application of replays; everything else goes to ``behind``."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._behind(scope, receive, send)
            return
        told = functools.partial(self._instruments.hook_answered, _INTAKE)
        await respond(self._answer(scope, receive), send, told)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise RefusedError(problems.ONLY_POST)
        headers = by_name(scope["headers"])
        tenant = await self._gate.tenant(headers, b"", SCOPES)
        body = await read_body(receive, limit=MAX_BODY, too_large=problems.BODY_TOO_LARGE)
        if is_packed(headers.get(b"content-encoding", b"")):
            body = unpack(body, limit=_MOST_UNPACKED, too_large=problems.BODY_TOO_LARGE)
        try:
            letters = _decode(body).letters
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise RefusedError(problems.NOT_LETTERS) from error
        with contextlib.suppress(RegistryAwayError):
            await self._registry.refresh()  # whoever replays has just set something right
        with landing():
            told = [await self._replay(tenant, letter) for letter in letters]
        return Answer(200, msgspec.json.encode({"letters": told}))

    async def _replay(self, tenant: str, letter: _Letter) -> _Told:
        source = self._registry.sources.get(letter.source)
        if source is None or source.tenant != tenant:
            return _told(letter, 0, [Bad("", "there is no such source any more")])
        if not EARLIEST <= letter.received_at <= self._clock() + _CLOCKS_DIFFER:  # times of events are judged by it
            return _told(letter, 0, [Bad("", "was not received at such a time")])
        kept = Letter(source.id, letter.method, letter.steps, letter.headers, letter.body_base64, letter.received_at)
        reading, _ = read(VENDORS[source.kind], source, delivery_of(kept), self._registry.fields(tenant))
        records, bad = judge(source, reading, letter.received_at)
        refused: list[int] = []
        if records:
            received_ms = int(letter.received_at.timestamp() * 1000)
            refused = await self._landing.take(
                records, self._landing.terms(tenant, received_ms, _SECONDS, spools=False)
            )
        bad += [Bad("", TOO_LARGE_FOR_LOG)] * len(refused)
        self._instruments.judged(accepted=len(records) - len(refused), rejected=len(bad))
        await asyncio.sleep(0)  # others come between two letters
        return _told(letter, len(records) - len(refused), bad)


def _told(letter: _Letter, accepted: int, bad: list[Bad]) -> _Told:
    return _Told(letter.id, accepted, [it._asdict() for it in bad])
