"""Cursors: where a page ended, as text that callers hand back unread.

A cursor carries the sort key of the last item (so that concurrent writes neither repeat nor skip what was there) and
a mark of the question it belongs to: in another tenant or with other filters it is refused. It grants nothing: every
query is bounded by the tenant of the key anyway.
"""

import base64
import hashlib
from typing import Final, TypeVar

import msgspec

from services.api.problems import ProblemError, invalid

MOST_CHARACTERS: Final = 4096

Place = TypeVar("Place")


def mark(*question: object) -> str:
    """Return the mark of a question: equal only for the same parts."""
    return hashlib.blake2b(msgspec.json.encode(question), digest_size=6).hexdigest()


def encode(question: str, place: object) -> str:
    """Return the cursor of ``place`` in the answer to ``question`` (a mark)."""
    return base64.urlsafe_b64encode(msgspec.json.encode([question, place])).rstrip(b"=").decode()


def decode(cursor: str | None, question: str, kind: type[Place]) -> Place | None:
    """Return the place of ``cursor`` as ``kind``; None without a cursor.

    Raises:
        ProblemError: the cursor is none of ours, or belongs to another question.
    """
    if cursor is None:
        return None
    try:
        asked, place = _parts(cursor[:MOST_CHARACTERS], kind)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise strange() from error
    if asked != question or "\x00" in str(place):
        raise strange()
    return place


def strange() -> ProblemError:
    """Return the answer for a cursor that is none of ours."""
    return invalid("The cursor does not belong to this question.", parameter="cursor")


def _parts(cursor: str, kind: type[Place]) -> tuple[str, Place]:
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    parts: tuple[str, Place] = msgspec.json.decode(
        base64.b64decode(padded, b"-_", validate=True),
        type=tuple[str, kind],  # type: ignore[valid-type]
    )
    return parts
