"""One exchange with an identity provider: the body it sends, the page it wants, and the answer it gets."""

import re
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, Query, Request
from starlette.responses import Response

from services.api.scim.attributes import Kind
from services.api.scim.errors import ERROR, MEDIA_TYPE, ScimError, invalid_syntax, invalid_value, outdated
from services.api.scim.filters import Filter, parse
from services.api.scim.resources import Selection, listing, selection
from services.api.shapes import plain

MOST_PER_PAGE: Final = 1000
PER_PAGE: Final = 100
MOST_DIGITS: Final = 9
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_KINDS: Final = frozenset({"application/scim+json", "application/json"})


class ScimResponse(Response):
    """An answer in the media type of SCIM."""

    media_type = MEDIA_TYPE


def base_of(request: Request) -> str:
    """Return the address of the service as the client knows it; only its path when the client named no host."""
    host = request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host}/scim/v2" if _HOST.fullmatch(host) else "/scim/v2"


async def body_of(request: Request) -> dict[str, Any]:
    """Return the body.

    Raises:
        ScimError: it is no object of JSON, or of another media type.
    """
    message = Message()
    message["content-type"] = request.headers.get("content-type", "application/json")
    if message.get_content_type() not in _KINDS:
        raise ScimError(415, "The body must be application/scim+json or application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ScimError(415, "The body must not be compressed.")
    try:
        body = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise invalid_syntax("The body is not valid JSON in UTF-8.") from error
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be an object.")
    return body


def _number(text: str | None, name: str, default: int, least: int) -> int:
    if text is None or not text.strip():
        return default
    digits = text.strip().removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise invalid_value(f"{name} must be a whole number.")
    sign = -1 if text.strip().startswith("-") else 1
    return max(least, sign * min(int(digits[: MOST_DIGITS + 1]), 10**MOST_DIGITS))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to see; indexes begin with 1, and what lies outside is moved to the nearest."""

    filter: str | None
    start_index: str | None
    count: str | None
    attributes: str | None
    excluded: str | None

    @property
    def start(self) -> int:
        """Return the index of the first resource of the page."""
        return _number(self.start_index, "startIndex", 1, 1)

    @property
    def most(self) -> int:
        """Return the most resources of the page."""
        return min(_number(self.count, "count", PER_PAGE, 0), MOST_PER_PAGE)

    def condition(self, kind: Kind) -> Filter | None:
        """Return the filter."""
        return parse(self.filter, kind) if self.filter is not None and self.filter.strip() else None

    def selection(self, kind: Kind) -> Selection:
        """Return the attributes that are wanted."""
        return selection(kind, self.attributes, self.excluded)


Text = Annotated[str | None, Query(max_length=8192)]


def _wanted(
    filter: Annotated[str | None, Query(description='Such as `userName eq "anna@acme.example"`.')] = None,  # noqa: A002
    start_index: Annotated[str | None, Query(alias="startIndex", description="From 1 on.")] = None,
    count: Annotated[str | None, Query(description="At most 1000; 100 when absent.")] = None,
    attributes: Text = None,
    excluded: Annotated[str | None, Query(alias="excludedAttributes", max_length=8192)] = None,
) -> Wanted:
    for text in (filter, start_index, count, attributes, excluded):
        try:
            plain(text or "")
        except ValueError as error:
            raise invalid_value(f"A parameter {error}.") from error
    return Wanted(filter, start_index, count, attributes, excluded)


def _chosen(
    attributes: Text = None, excluded: Annotated[str | None, Query(alias="excludedAttributes", max_length=8192)] = None
) -> Wanted:
    return _wanted(None, None, None, attributes, excluded)


PageWanted = Annotated[Wanted, Depends(_wanted)]
ShapeWanted = Annotated[Wanted, Depends(_chosen)]


def answer(resource: dict[str, Any], wanted: Selection | None = None, status: int = 200) -> Response:
    """Return one resource with its version and, when it is new, its address."""
    headers = {"ETag": resource["meta"]["version"]}
    if status != 200:  # noqa: PLR2004
        headers["Location"] = resource["meta"]["location"]
    shown = wanted.of(resource) if wanted is not None else resource
    return ScimResponse(msgspec.json.encode(shown), status_code=status, headers=headers)


def page(resources: list[dict[str, Any]], total: int, wanted: Wanted, kind: Kind) -> Response:
    """Return one page of a list."""
    chosen = wanted.selection(kind)
    return told(listing([chosen.of(resource) for resource in resources], total=total, start=wanted.start))


def told(body: dict[str, Any]) -> Response:
    """Return what has no version."""
    return ScimResponse(msgspec.json.encode(body))


def empty() -> Response:
    """Return an answer without a body."""
    return Response(status_code=204)


def unmet(request: Request, resource: dict[str, Any]) -> None:
    """Let a change pass that names no version, or the present one.

    Raises:
        ScimError: it names another.
    """
    if (named := request.headers.get("if-match")) is None:
        return
    tags = {tag.strip().removeprefix("W/") for tag in named.split(",")}
    if "*" not in tags and resource["meta"]["version"].removeprefix("W/") not in tags:
        raise outdated()


def unchanged(request: Request, resource: dict[str, Any]) -> bool:
    """Return whether the client has the present version already."""
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return resource["meta"]["version"].removeprefix("W/") in tags


def not_modified(resource: dict[str, Any]) -> Response:
    """Return the answer for a version that the client has."""
    return Response(status_code=304, headers={"ETag": resource["meta"]["version"]})


_ERROR: Final = {"schemas": [ERROR], "status": "404", "detail": "There is no User with this id."}
_SHAPE: Final = {"type": "object", "required": ["schemas"], "properties": {"schemas": {"type": "array"}}}


def described(example: dict[str, Any] | None, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI shows as the answers of an operation; ``example`` None: an answer without a body."""
    error = {"schema": {**_SHAPE, "required": ["schemas", "status", "detail"]}, "example": _ERROR}
    answers: dict[int | str, dict[str, Any]] = {
        "default": {"description": "A SCIM error (RFC 7644).", "content": {MEDIA_TYPE: error}}
    }
    if example is not None:
        answers[status] = {"content": {MEDIA_TYPE: {"schema": _SHAPE, "example": example}}}
    return answers


def taken_body(example: dict[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI shows as the body of a request."""
    content = {kind: {"schema": {"type": "object"}, "example": example} for kind in sorted(_KINDS)}
    return {"requestBody": {"required": True, "content": content}}
