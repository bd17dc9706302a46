"""Errors as ``application/problem+json`` (RFC 9457). A problem is raised anywhere and becomes an answer only here.

No problem repeats what the caller sent, except where it stood (a pointer or a parameter): an answer for what does not
exist and one for what the caller may not know of are the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
MOST_ERRORS: Final = 50
RETRY_SECONDS: Final = 1
FASTAPI_BAD_BODY: Final = "There was an error parsing the body"


class ProblemError(HTTPException):
    """A problem to be answered: a status, one sentence, and for bad input where it stood."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.errors = list(errors)


def not_found() -> ProblemError:
    """Return the one answer for what does not exist and for what the caller may not know of."""
    return ProblemError(404, "There is nothing here that this key may see.")


def conflict(detail: str) -> ProblemError:
    """Return the answer for a change that what is stored does not allow."""
    return ProblemError(409, detail)


def invalid(detail: str, *, pointer: str | None = None, parameter: str | None = None) -> ProblemError:
    """Return the answer for one value that cannot be used, with where it stood."""
    place = {"pointer": pointer} if pointer is not None else {"parameter": parameter} if parameter is not None else {}
    return ProblemError(422, detail, errors=[{**place, "detail": detail}] if place else ())


def unauthorised() -> ProblemError:
    """Return the answer for a missing, unknown, expired or revoked key (which one it was stays unsaid)."""
    return ProblemError(
        401, "A valid key is needed: Authorization: Bearer upt_…", headers={"WWW-Authenticate": "Bearer"}
    )


def unavailable(detail: str = "The service is busy or its database is away; try again.") -> ProblemError:
    """Return the answer for what may work in a moment."""
    return ProblemError(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def clean(text: str, most: int = 300) -> str:
    """Return ``text`` short enough and encodable."""
    return text[:most].encode("utf-8", "replace").decode()


def as_response(error: HTTPException) -> Response:
    """Return the answer of ``error``: a problem of ours or one that the framework raised."""
    status, detail = error.status_code, str(error.detail)
    if detail == FASTAPI_BAD_BODY:
        detail = "The body is not valid JSON in UTF-8."
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": clean(detail),
    }
    if errors := getattr(error, "errors", None):
        body["errors"] = [{name: clean(value) for name, value in entry.items()} for entry in errors[:MOST_ERRORS]]
    headers = dict(error.headers or {})
    return Response(msgspec.json.encode(body), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def of_validation(error: RequestValidationError) -> ProblemError:
    """Return the problem of a request that does not fit its description.

    415 when its body does not say that it is JSON, 400 when it is none, else 422.
    """
    if isinstance(error.body, bytes):  # nobody read it
        return ProblemError(415, "The body must come as application/json.")
    found = list(error.errors())
    if any(entry["type"] == "json_invalid" for entry in found):
        return ProblemError(400, "The body is not valid JSON.")
    return ProblemError(422, "The request does not fit its description.", errors=[_where(entry) for entry in found])


def _where(entry: Mapping[str, Any]) -> dict[str, str]:
    place, *path = entry["loc"] or ("body",)
    return {**_place(str(place), path), "detail": str(entry["msg"]).removeprefix("Value error, ")}


def _place(place: str, path: Iterable[object]) -> dict[str, str]:
    if place == "body":
        return {"pointer": "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)}
    return {"parameter": ".".join(str(step) for step in path)}
