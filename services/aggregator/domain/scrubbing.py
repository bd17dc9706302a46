"""Taking names out of what was written down as JSON: alerts and their history."""

from collections.abc import Collection
from typing import Any, Final

_PERSON: Final = "person"


def scrub(value: Any, names: Collection[str], stand_in: str | None) -> Any:  # noqa: ANN401 - JSON is any shape
    """Return ``value`` without ``names``: another name in their place, or None: lists lose them, and who is told."""
    if isinstance(value, str):
        return stand_in if value in names else value
    if isinstance(value, list):
        return [
            scrub(each, names, stand_in)
            for each in value
            if stand_in is not None or not (isinstance(each, str) and each in names)
        ]
    if isinstance(value, dict):
        return {
            key: scrub(each, names, stand_in)
            for key, each in value.items()
            if stand_in is not None or key != _PERSON or each not in names
        }
    return value


def renamed(fingerprint: str, user: str, stand_in: str) -> str:
    """Return the fingerprint of an alert about ``user`` for the one who stands in."""
    return "\x1f".join(stand_in if part == user else part for part in fingerprint.split("\x1f"))
