"""Errors as SCIM tells them: every refusal below ``/scim/`` is an Error message of RFC 7644, whatever raised it."""

from typing import Any, Final

import msgspec
from fastapi import HTTPException
from starlette.responses import Response

from services.api import problems
from services.api.problems import FASTAPI_BAD_BODY, ProblemError, clean

MEDIA_TYPE: Final = "application/scim+json"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
ROOT: Final = "/scim/"
_UNPROCESSABLE: Final = 422


class ScimError(ProblemError):
    """A refusal with the word of RFC 7644 for its kind."""

    def __init__(self, status: int, detail: str, scim_type: str | None = None) -> None:
        super().__init__(status, detail)
        self.scim_type = scim_type


def invalid_value(detail: str) -> ScimError:
    """Return the refusal of a value that is missing or cannot be used."""
    return ScimError(400, detail, "invalidValue")


def invalid_syntax(detail: str) -> ScimError:
    """Return the refusal of a body that is no SCIM message."""
    return ScimError(400, detail, "invalidSyntax")


def invalid_filter(detail: str) -> ScimError:
    """Return the refusal of a filter."""
    return ScimError(400, detail, "invalidFilter")


def invalid_path(detail: str) -> ScimError:
    """Return the refusal of the path of a PATCH operation."""
    return ScimError(400, detail, "invalidPath")


def no_target(detail: str) -> ScimError:
    """Return the refusal of an operation on what is not there and cannot be made."""
    return ScimError(400, detail, "noTarget")


def read_only(name: str) -> ScimError:
    """Return the refusal of a change to what only this service sets."""
    return ScimError(400, f"{name} cannot be changed by a client.", "mutability")


def taken(detail: str) -> ScimError:
    """Return the refusal of a name that another resource has."""
    return ScimError(409, detail, "uniqueness")


def gone(kind: str) -> ScimError:
    """Return the answer for a resource that is not there."""
    return ScimError(404, f"There is no {kind} with this id.")


def outdated() -> ScimError:
    """Return the answer for a change of a version that is no longer the present one."""
    return ScimError(412, "The resource has changed: its version is not the one of If-Match.")


def answer(path: str, error: HTTPException) -> Response:
    """Return the answer of ``error`` as whoever asks at ``path`` reads it: an Error message or a problem."""
    return as_response(error) if path.startswith(ROOT) else problems.as_response(error)


def as_response(error: HTTPException) -> Response:
    """Return the SCIM message of ``error``. What does not fit its description is 400 here: SCIM knows no 422."""
    status, detail = error.status_code, str(error.detail)
    scim_type = getattr(error, "scim_type", None)
    if status == _UNPROCESSABLE:
        status, scim_type = 400, "invalidValue"
    if detail == FASTAPI_BAD_BODY:
        detail = "The body is not valid JSON in UTF-8."
    places = [f"{entry.get('parameter') or entry.get('pointer')}: {entry['detail']}" for entry in _places(error)]
    body: dict[str, Any] = {
        "schemas": [ERROR],
        "status": str(status),
        "detail": clean(" ".join([detail, *places]), 1000),
    }
    if scim_type is not None:
        body["scimType"] = scim_type
    headers = dict(error.headers or {})
    return Response(msgspec.json.encode(body), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def _places(error: HTTPException) -> list[dict[str, str]]:
    return [entry for entry in getattr(error, "errors", ()) if "parameter" in entry or "pointer" in entry][:5]
