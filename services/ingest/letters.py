"""Dead letters: of a delivery that cannot be used, what is kept. Pure.

A letter holds what is needed to read the delivery again, and no credential: of the headers only those that are known
to carry none, never the query, and wherever one of the source's secrets still stands, it is struck out.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from schemas import letters
from schemas.events import Record
from schemas.letters import Letter
from schemas.sources import Source
from services.ingest.vendors.shape import Bad, Delivery, identity
from services.sealing import Seal

_HEADERS: Final = frozenset(
    {
        "content-type",
        "user-agent",
        "soapaction",
        "webhook-id",
        "webhook-timestamp",
        "svix-id",
        "svix-timestamp",
        "x-hubspot-request-timestamp",
        "x-hubspot-signature-version",
    }
)
_SIGNATURES: Final = frozenset({"webhook-signature", "svix-signature"})
"""Headers that must be there for a delivery to be read, whatever stands in them."""
_HEADER_PREFIXES: Final = ("x-ms-dynamics-", "x-ms-correlation-", "ce-")
_STRUCK_OUT: Final = "[secret]"
_SHORTEST_SECRET: Final = 6
"""What is shorter stands in any text by chance."""
_MOST_REASONS: Final = 20
_LONGEST_REASON: Final = 200
_LONGEST_HEADER: Final = 1000


def letter_of(source: Source, delivery: Delivery, scrub: Callable[[bytes], bytes] | None) -> Letter:
    """Return what is kept of ``delivery``; ``scrub`` takes the credentials of its kind out of the body."""
    body = delivery.body
    if scrub is not None:
        try:
            body = scrub(body)
        except Exception:  # noqa: BLE001 - a body that cannot be used may trip over anything; secrets are struck out below
            body = delivery.body
    for secret in _secrets(source):
        body = body.replace(secret.encode(), _STRUCK_OUT.encode())
    return Letter(
        source=source.id,
        method=delivery.method,
        steps=tuple(_struck_out(source, step) for step in delivery.steps),
        headers=_headers(source, delivery),
        body=body,
        received_at=delivery.received_at,
    )


def record_of(source: Source, letter: Letter, bad: Sequence[Bad], seal: Seal) -> Record:
    """Return the record of ``letter`` of ``source``, with why it is one."""
    body = hashlib.blake2b(letter.body, digest_size=16).hexdigest()
    named = identity(source.tenant, source.id, letter.method, *letter.steps, body)
    headers = [
        (letters.ID, named.encode()),
        (letters.SOURCE, source.id.encode()),
        (letters.KIND, source.kind.encode()),
        (letters.REASONS, letters.encode_reasons(_reasons(bad))),
    ]
    sealed = seal.close(letters.pack(letter), letters.context(source.tenant))
    return Record(source.tenant.encode(), sealed, headers)


def delivery_of(letter: Letter) -> Delivery:
    """Return the delivery in ``letter``, to be read again: what proved it is gone."""
    return Delivery(
        method=letter.method,
        steps=letter.steps,
        secret=None,
        query=b"",
        url="",
        headers={name.lower(): value for name, value in letter.headers.items()},
        body=letter.body,
        received_at=letter.received_at,
    )


def _headers(source: Source, delivery: Delivery) -> dict[str, str]:
    kept = {
        name: _struck_out(source, value)[:_LONGEST_HEADER]
        for name, value in delivery.headers.items()
        if name in _HEADERS or name.startswith(_HEADER_PREFIXES)
    }
    return kept | dict.fromkeys(_SIGNATURES & delivery.headers.keys(), _STRUCK_OUT)


def _reasons(bad: Sequence[Bad]) -> list[letters.Bad]:
    told = [letters.Bad(it.pointer[:_LONGEST_REASON], it.reason[:_LONGEST_REASON]) for it in bad[:_MOST_REASONS]]
    more = len(bad) - len(told)
    return [*told, letters.Bad("", f"{more} more items")] if more else told


def _secrets(source: Source) -> Iterable[str]:
    return (secret for secret in source.secrets if len(secret) >= _SHORTEST_SECRET)


def _struck_out(source: Source, text: str) -> str:
    for secret in _secrets(source):
        text = text.replace(secret, _STRUCK_OUT)
    return text
