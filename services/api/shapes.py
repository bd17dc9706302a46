"""The kinds of value that requests carry, each bounded: no NUL, no lone surrogate, no year that a table cannot hold."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from services.api.days import day_start

FIRST_DAY: Final = date(1900, 1, 1)
LAST_DAY: Final = date(2200, 12, 31)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def plain(value: str) -> str:
    """Return ``value`` when a table can hold it.

    Raises:
        ValueError: it holds a NUL character or half a surrogate pair.
    """
    if "\x00" in value:
        raise ValueError("must not hold a NUL character")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be text that UTF-8 can carry") from error
    return value


def iso_day(value: object) -> date:
    """Return the day of an ISO date.

    Raises:
        ValueError: it is none, or lies outside 1900 to 2200.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("must be a date like 2026-03-31")
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise ValueError("is no day of the calendar") from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError("must lie between 1900 and 2200")
    return day


def iso_instant(value: object) -> datetime:
    """Return the instant, in UTC, of an RFC 3339 time with its offset.

    Raises:
        ValueError: it is none, or lies outside 1900 to 2200.
    """
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("must be a time like 2026-03-31T08:00:00Z")
    try:
        instant = datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise ValueError("is no time of the calendar") from error
    if not FIRST_DAY.year <= instant.year <= LAST_DAY.year:
        raise ValueError("must lie between 1900 and 2200")
    return instant.astimezone(UTC)


def bound_of(text: str | None, time_zone: str, *, end: bool) -> datetime | None:
    """Return the instant of a bound given as a time, or as a day of the tenant: its start, or (``end``) its end.

    Raises:
        ValueError: it is neither.
    """
    if text is None:
        return None
    if _DAY.fullmatch(text):
        return day_start(iso_day(text) + timedelta(days=1 if end else 0), time_zone)
    return iso_instant(text)


def carried(value: dict[str, Any]) -> dict[str, Any]:
    """Return ``value`` when UTF-8 can carry all of it.

    Raises:
        ValueError: there is half a surrogate pair in it.
    """
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ValueError("must be text that UTF-8 can carry") from error
    return value


Plain = AfterValidator(plain)
Anything = Annotated[dict[str, Any], AfterValidator(carried)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), Plain]
Name = Annotated[str, Field(min_length=1, max_length=200), Plain]
Label = Annotated[str, Field(min_length=1, max_length=256), Plain]
Text = Annotated[str, Field(max_length=1000), Plain]
Day = Annotated[date, BeforeValidator(iso_day)]
Instant = Annotated[datetime, BeforeValidator(iso_instant)]
Limit = Annotated[int, Query(ge=1, le=1000, description="The most items of one page.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Filter = Annotated[str | None, Query(max_length=256)]


class Given(BaseModel):
    """A body that callers send: what it does not name is refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Shown(BaseModel):
    """A body that callers get; it describes, it does not validate."""


class Rate(Shown):
    """A rate of two counts; ``value`` is null when ``den`` is zero."""

    num: int
    den: int
    value: float | None = None


def rate(num: int, den: int) -> dict[str, Any]:
    """Return the rate of two counts as JSON shows it."""
    return {"num": num, "den": den, "value": num / den if den else None}


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return ``body`` as JSON; instants are RFC 3339 in UTC."""
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers)


def created(body: Mapping[str, Any], place: str, headers: dict[str, str] | None = None) -> Response:
    """Return ``body`` as what was made, by its id at ``place``."""
    return reply(body, 201, {"Location": f"{place}/{body['id']}", **(headers or {})})


def page(items: list[Any], cursor: str | None) -> Response:
    """Return one page of a list."""
    return reply({"items": items, "next": cursor})


def example(body: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:  # noqa: ANN401 - JSON is any shape
    """Return what OpenAPI shows as the answer of an operation."""
    return {status: {"content": {"application/json": {"example": body}}}}
