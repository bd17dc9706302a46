"""When to try again, and when to give up. A function of the message and the attempt: no memory, no dice.

The pauses grow from five seconds to twelve hours; three days after it was first due a message is given up. Whose
every message failed for five days is switched off.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 120, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 6 * 3600, 8 * 3600, 12 * 3600)
)
GIVE_UP_AFTER: Final = timedelta(hours=72)
SWITCH_OFF_AFTER: Final = timedelta(days=5)
LONGEST_WISH: Final = timedelta(hours=24)
"""A receiver that asks for a longer pause is asked again all the same."""
_JITTER: Final = 0.2


def next_try(
    message: str, attempts: int, *, began_at: datetime, now: datetime, wish: timedelta | None = None
) -> datetime | None:
    """Return when to try again after ``attempts`` failed; None: it is given up. ``wish``: the receiver's."""
    pause = PAUSES[min(attempts, len(PAUSES)) - 1] * (1 + _JITTER * _dice(message, attempts))
    if wish is not None:
        pause = max(pause, min(wish, LONGEST_WISH))
    return now + pause if now + pause <= began_at + GIVE_UP_AFTER else None


def switched_off(failing_since: datetime | None, now: datetime) -> bool:
    """Return whether a subscription that only failed since then is to be switched off."""
    return failing_since is not None and now - failing_since >= SWITCH_OFF_AFTER


def wish_of(retry_after: str | None, now: datetime) -> timedelta | None:
    """Return how long the header Retry-After asks to wait; None: it asks nothing that can be read."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:  # noqa: PLR2004 - thirty years are long enough
        return timedelta(seconds=int(text))
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(until - now, timedelta())


def _dice(message: str, attempt: int) -> float:
    """Return a number from -1 to 1, so that those who failed at once do not come back at once."""
    thrown = blake2b(f"{message}/{attempt}".encode(), digest_size=4).digest()
    return int.from_bytes(thrown) / (1 << 31) - 1
