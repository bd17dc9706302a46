"""Signatures of deliveries, by the published rules of those who sign. Pure.

Each is made over the raw bytes of the body, compared in constant time with every active secret, and refused when its
time lies more than five minutes away on either side of the arrival: a delivery can neither be kept for later nor be
made ahead of time. What is missing, garbled or too long is no signature; nothing is ever taken without one.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

TOLERANCE: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")

_HUBSPOT_ESCAPES: Final = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""What HubSpot decodes in an address before it signs version 3, and nothing else."""

_PREFIX: Final = "whsec_"
_SHORTEST: Final = 24
_LONGEST: Final = 64
_MOST_SIGNATURES: Final = 16
_LONGEST_ID: Final = 256


def hubspot_v1(secret: str, body: bytes) -> str:
    """Return HubSpot's version 1: a plain hash of secret and body."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def hubspot_v2(secret: str, method: str, url: str, body: bytes) -> str:
    """Return HubSpot's version 2: a plain hash that covers method and address as well."""
    return hashlib.sha256(f"{secret}{method}{url}".encode() + body).hexdigest()


def hubspot_v3(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """Return HubSpot's version 3: an HMAC over method, address, body and time."""
    return _hmac(secret.encode(), f"{method}{url}".encode() + body + timestamp.encode())


def hubspot_is_signed(
    version: str,
    secrets: Iterable[str],
    headers: Mapping[str, str],
    *,
    method: str,
    url: str,
    body: bytes,
    received_at: datetime,
) -> bool:
    """Whether a delivery carries HubSpot's signature of exactly this ``version``: v1, v2 or v3.

    HubSpot sends several at once; the others are not looked at, so no weaker one opens. ``url`` is the address as it
    was configured at HubSpot. For v3 both spellings are tried, since guide and SDKs of HubSpot differ in the decoding.
    """
    if version == "v3":
        timestamp = headers.get("x-hubspot-request-timestamp", "")
        if not _is_near(timestamp, _MILLISECONDS, timedelta(milliseconds=1), received_at):
            return False
        urls = {url, _HUBSPOT_ESCAPES.sub(lambda found: unquote(found[0]), url)}
        return _is_one_of(
            headers.get("x-hubspot-signature-v3", ""),
            [hubspot_v3(secret, method, each, body, timestamp) for secret in secrets if secret for each in urls],
        )
    if headers.get("x-hubspot-signature-version", "").lower() != version:
        return False
    given = headers.get("x-hubspot-signature", "")
    if version == "v2":
        return _is_one_of(given, [hubspot_v2(secret, method, url, body) for secret in secrets if secret])
    return version == "v1" and _is_one_of(given, [hubspot_v1(secret, body) for secret in secrets if secret])


def standard(key: bytes, identity: str, timestamp: str, body: bytes) -> str:
    """Return the signature of Standard Webhooks, version 1, without the ``v1,`` before it."""
    return _hmac(key, f"{identity}.{timestamp}.".encode() + body)


@lru_cache(4096)
def standard_key(secret: str) -> bytes | None:
    """Return the key in a secret of Standard Webhooks; None when it is not 24 to 64 bytes in base64."""
    text = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if _SHORTEST <= len(key) <= _LONGEST else None


def standard_headers(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return id, timestamp and signatures of a delivery, in the spelling of Standard Webhooks or else of Svix."""
    for prefix in ("webhook", "svix"):
        found = tuple(headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp", "signature"))
        if all(found):
            return found[0], found[1], found[2]
    return "", "", ""


def standard_is_signed(
    secrets: Iterable[str], headers: Mapping[str, str], *, body: bytes, received_at: datetime
) -> bool:
    """Whether a delivery carries a signature of Standard Webhooks or Svix, with any of the active secrets."""
    identity, timestamp, signatures = standard_headers(headers)
    if not identity or len(identity) > _LONGEST_ID:
        return False
    if not _is_near(timestamp, _SECONDS, timedelta(seconds=1), received_at):
        return False
    keys = [key for key in map(standard_key, secrets) if key is not None]
    expected = [standard(key, identity, timestamp, body) for key in keys]
    found = False
    for signature in signatures.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]:
        version, _, given = signature.partition(",")
        found |= version == "v1" and _is_one_of(given, expected)
    return found


def _hmac(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _is_one_of(given: str, expected: Iterable[str]) -> bool:
    """Whether ``given`` is one of ``expected``; every one is compared, each in constant time."""
    shown = given.encode("utf-8", "surrogateescape")
    found = False
    for each in expected:
        found |= hmac.compare_digest(shown, each.encode())
    return found


def _is_near(timestamp: str, form: re.Pattern[str], unit: timedelta, received_at: datetime) -> bool:
    """Whether ``timestamp``, a count of ``unit`` since 1970, lies within the tolerance; both ends are within."""
    if not form.fullmatch(timestamp):
        return False
    return abs((received_at - _EPOCH) // unit - int(timestamp)) <= TOLERANCE // unit
