"""Columns of a batch as array literals: PostgreSQL reads them as cheaply as binary arrays, Python writes them cheaper.

The client asks of each element of a binary array whether it is an array itself, which costs more than all the rest.
A statement casts twice, as ``$1::text::int[]``, so that the parameter stays text until PostgreSQL has it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EXACT: Final = 1 << 53
"""PostgreSQL multiplies intervals as floating-point numbers."""


def numbers(values: Sequence[float | None]) -> str:
    """Return an array of nulls and of integers or finite fractions, each to its last digit."""
    return "{" + str(list(values))[1:-1].replace("None", "null") + "}"


def texts(values: Sequence[str]) -> str:
    """Return an array of texts, whatever is in them."""
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') > 2 * (len(values) - 1):
        joined = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return '{"' + joined + '"}' if values else "{}"


def optional(values: Sequence[str | None]) -> str:
    """Return an array of texts and nulls, few of them different."""
    told = {value: "null" if value is None else texts([value])[1:-1] for value in set(values)}
    return "{" + ",".join([told[value] for value in values]) + "}"


def dates(values: Sequence[date | None]) -> str:
    """Return an array of dates and nulls, few of them different."""
    told = {value: "null" if value is None else value.isoformat() for value in set(values)}
    return "{" + ",".join([told[value] for value in values]) + "}"


def uuids(values: Iterable[bytes]) -> str:
    """Return an array of identities."""
    return "{" + ",".join([value.hex() for value in values]) + "}"


def instants(values: Sequence[datetime | None]) -> str:
    """Return an array of microseconds since 1970-01-01."""
    return numbers([None if value is None else microseconds(value) for value in values])


def microseconds(instant: datetime) -> int:
    """Return the microseconds since 1970-01-01; from 2255 on rounded down, as an interval is no finer there."""
    since = instant - EPOCH
    exact = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return exact if exact < EXACT else exact & ~63
