"""What stands behind the front door: probes, metrics and the documentation, as a small FastAPI application.

The intake is answered before it (see ``app``); here it only stands in the documentation.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from services.ingest import problems
from services.ingest.asgi import Application, Receive, Scope, Send
from services.ingest.instruments import Instruments
from services.observability import Standing, exposition
from services.reference import POLICY, page

_EXAMPLE: Final = {
    "specversion": "1.0",
    "id": "login-4711",
    "source": "/crm/acme",
    "type": "crm.session.login",
    "time": "2026-01-15T08:02:11Z",
    "data": {"user": "mary.jones", "origin": "ui"},
}
_TAKEN: Final = {
    "accepted": 1,
    "rejected": [{"index": 1, "id": "login-4712", "pointer": "/time", "reason": "is no instant that exists"}],
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_OUTCOME: Final = {
    "application/json": {"schema": {"$ref": "#/components/schemas/Outcome"}, "examples": {"some": {"value": _TAKEN}}}
}
_REFUSALS: Final[Mapping[str, str]] = {
    "400": "Malformed: not JSON, not one gzip stream, or an admin key without Uptake-Tenant.",
    "401": "No key, or one that is unknown, expired or revoked.",
    "403": "The key lacks the scope that is needed.",
    "404": "No such tenant.",
    "408": "The request took too long to arrive.",
    "413": "An event over 256 KiB, a body over 5 MiB, or a batch over 2,500 events.",
    "415": "No form of CloudEvents, or a content encoding other than gzip.",
    "429": "Too many unknown keys, or too much of one tenant; Retry-After says when to come back.",
    "503": "The log does not take events now; Retry-After says when to come back.",
}
_SCHEMAS: Final = {
    "CloudEvent": {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "maxLength": 1024},
            "source": {"type": "string", "minLength": 1, "maxLength": 1024},
            "type": {"type": "string", "minLength": 1, "maxLength": 256},
            "time": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
            "data_base64": {"type": "string", "contentEncoding": "base64"},
        },
        "examples": [_EXAMPLE],
    },
    "Outcome": {
        "type": "object",
        "required": ["accepted", "rejected"],
        "properties": {
            "accepted": {"type": "integer"},
            "rejected": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer"},
                        "id": {"type": ["string", "null"]},
                        "pointer": {"type": "string"},
                        "reason": {"type": "string"},
                    },
                },
            },
        },
    },
    "Replay": {
        "type": "object",
        "required": ["letters"],
        "properties": {
            "letters": {
                "type": "array",
                "maxItems": 500,
                "items": {
                    "type": "object",
                    "required": ["id", "source", "received_at"],
                    "properties": {
                        "id": {"type": "string"},
                        "source": {"type": "string"},
                        "received_at": {"type": "string", "format": "date-time"},
                        "method": {"type": "string"},
                        "steps": {"type": "array", "items": {"type": "string"}},
                        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                        "body_base64": {"type": "string", "contentEncoding": "base64"},
                    },
                },
            }
        },
    },
    "Problem": {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    },
}
_INTAKE: Final[dict[str, Any]] = {
    "post": {
        "summary": "Take events",
        "description": "CloudEvents 1.0 in structured, batched or binary mode. 202 means: on the log, acknowledged.",
        "security": [{"key": []}],
        "parameters": [
            {
                "name": "Uptake-Tenant",
                "in": "header",
                "schema": {"type": "string"},
                "description": "The tenant an admin key speaks for.",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/CloudEvent"}},
                "application/cloudevents-batch+json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}, "maxItems": 2500},
                    "examples": {"one": {"value": [_EXAMPLE]}},
                },
                "application/json": {"schema": {"type": "object", "description": "data, with ce- headers beside it"}},
            },
        },
        "responses": {
            "202": {"description": "Taken; rejected events are named.", "content": _OUTCOME},
            "422": {"description": "No event was good.", "content": _OUTCOME},
            **{code: {"description": text, "content": _PROBLEM} for code, text in _REFUSALS.items()},
        },
    },
    "options": {
        "summary": "CloudEvents webhook handshake",
        "responses": {"200": {"description": "Who asks may send, with a key."}},
    },
}

_REPLAYS: Final[dict[str, Any]] = {
    "post": {
        "summary": "Read dead letters again",
        "description": (
            "With the adapters, options and fields of today, and the original instant of arrival; identities stay, so "
            "a replay that is repeated changes nothing. The key needs the scope ingest or manage."
        ),
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Replay"}}},
        },
        "responses": {
            "200": {
                "description": "What became of each letter.",
                "content": {
                    "application/json": {
                        "schema": {"type": "object"},
                        "examples": {"one": {"value": {"letters": [{"id": "5b0c6c6d", "accepted": 1, "bad": []}]}}},
                    }
                },
            },
            **{code: {"description": text, "content": _PROBLEM} for code, text in _REFUSALS.items()},
        },
    },
}


class _Heads:
    """Answers HEAD as GET; the server sends no body then."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope, receive, send)


def application(
    instruments: Instruments, wrong: Callable[[], Mapping[str, str]], clock: Callable[[], datetime]
) -> FastAPI:
    """Return the application; ``wrong`` tells what keeps the service from being ready, by part."""
    standing = Standing(clock)
    app = FastAPI(
        title="Uptake ingest",
        version="1",
        summary="Takes what people do in the CRM, and puts it on the log.",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )

    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz", summary="Whether events can be taken now")
    async def readyz() -> JSONResponse:
        found = wrong()
        return JSONResponse(standing.told(found), 503 if found else 200)

    @app.get("/metrics", summary="Prometheus metrics, as text or OpenMetrics")
    async def metrics(request: Request) -> Response:
        body, content_type = exposition(instruments.registry, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers={"content-security-policy": POLICY})

    @app.exception_handler(HTTPException)
    async def refuse(_: Request, error: HTTPException) -> Response:
        refusal = problems.NOT_FOUND if error.status_code == problems.NOT_FOUND.status else problems.WRONG_METHOD
        allowed = {"allow": "GET, HEAD"} if refusal is problems.WRONG_METHOD else {}
        return Response(refusal.body, error.status_code, {"content-type": problems.CONTENT_TYPE.decode(), **allowed})

    app.add_middleware(_Heads)
    _document_intake(app)
    return app


def _document_intake(app: FastAPI) -> None:
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = described()
            document["paths"] = {"/v1/events": _INTAKE, "/v1/replays": _REPLAYS, **document["paths"]}
            components = document.setdefault("components", {})
            components["schemas"] = {**components.get("schemas", {}), **_SCHEMAS}
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
