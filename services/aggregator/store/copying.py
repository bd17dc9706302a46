"""Rows as the lines that COPY reads, put together as text: of a binary row each value would be encoded by itself.

Nothing is quoted at first. Lines are put together as if no value held what separates values, and then counted: where
there is more than there has to be they are made again of values that are quoted. JSON never needs that, it has control
characters escaped.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

_QUOTE: Final = "\x01"
_SPECIAL: Final = ("\t", "\n", "\r", _QUOTE)
NOTHING: Final = {None: "", "": 2 * _QUOTE}
"""How no text and an empty one are told."""
DIALECT: Final[dict[str, Any]] = {"format": "csv", "delimiter": "\t", "quote": _QUOTE}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES: Final = [f" {hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
_SECONDS: Final = [f"{second:02}" for second in range(60)]


def spelled(instant: datetime) -> str:
    """Return an instant as text, of parts that are known: by itself it would cost as much as the rest of a line."""
    since = instant - _EPOCH
    minute, second = divmod(since.seconds, 60)
    fraction = f".{since.microseconds:06}" if since.microseconds else ""
    return f"{_day(since.days)}{_MINUTES[minute]}{_SECONDS[second]}{fraction}Z"


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def quoted(value: Any) -> Any:  # noqa: ANN401 - what is no text stays as it is
    """Return a value as it stands in a line, whatever is in it; an empty one stays empty."""
    if not isinstance(value, str) or not any(special in value for special in _SPECIAL):
        return value
    return f"{_QUOTE}{value.replace(_QUOTE, 2 * _QUOTE)}{_QUOTE}"


def are_plain(lines: Sequence[str], columns: int) -> bool:
    """Tell whether ``lines`` were put together of values of which none separates values, and none is empty."""
    text = "".join(lines)
    return tuple(map(text.count, _SPECIAL)) == ((columns - 1) * len(lines), len(lines), 0, 0)


async def stream(lines: Sequence[str]) -> AsyncIterator[bytes]:
    """Yield ``lines`` as COPY takes them."""
    yield "".join(lines).encode()
