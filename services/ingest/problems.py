"""What a sender is told when a request is refused: RFC 9457 problems with constant bodies.

A body never repeats what was sent, so nothing of a key, an event or another tenant can leak through a refusal.
"""

from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

CONTENT_TYPE: Final = b"application/problem+json"


class Problem(NamedTuple):
    """A refusal: its status, its body and what must stand in the headers beside content type and length."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RefusedError(Exception):
    """A request is refused; ``app`` turns it into the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


def problem(status: int, detail: str, *headers: tuple[bytes, bytes]) -> Problem:
    """Return the problem of ``status`` that says ``detail``."""
    title = HTTPStatus(status).phrase
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    return Problem(status, body, headers)


RETRY_SOON: Final = (b"retry-after", b"1")
CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="uptake"')

NOT_JSON: Final = problem(400, "The body is not JSON in UTF-8.")
NOT_A_BATCH: Final = problem(400, "The body of application/cloudevents-batch+json is a JSON array of events.")
NOT_LETTERS: Final = problem(400, "The body is not a JSON object with dead letters as they are listed, 500 at most.")
NOT_GZIP: Final = problem(400, "The body is not one complete gzip stream.")
NO_TENANT: Final = problem(400, "An admin key names the tenant with the header Uptake-Tenant.")
SEVERAL_TENANTS: Final = problem(400, "The header Uptake-Tenant stands there once.")
NO_KEY: Final = problem(401, "A key is needed: Authorization: Bearer upt_…", CHALLENGE)
BAD_KEY: Final = problem(401, "The key is not known, has expired or was revoked.", CHALLENGE)
WRONG_SCOPE: Final = problem(403, "The key lacks the scope that this needs.")
NO_SUCH_TENANT: Final = problem(404, "There is no such tenant.")
NOT_FOUND: Final = problem(404, "There is nothing here.")
ONLY_POST: Final = problem(405, "Events are sent with POST.", (b"allow", b"OPTIONS, POST"))
WRONG_METHOD: Final = problem(405, "This method is not served here.")
EVENT_TOO_LARGE: Final = problem(413, "An event has at most 256 KiB.")
BODY_TOO_LARGE: Final = problem(413, "A body has at most 5 MiB after decompression.")
TOO_MANY_EVENTS: Final = problem(413, "A batch has at most 2,500 events.")
NOT_CLOUDEVENTS: Final = problem(
    415, "Send application/cloudevents+json, application/cloudevents-batch+json, or JSON with ce- headers; in UTF-8."
)
UNKNOWN_ENCODING: Final = problem(415, "The content encodings are gzip and identity.", (b"accept-encoding", b"gzip"))
TOO_MANY_UNKNOWN: Final = problem(429, "Too many unknown keys are being looked up.", RETRY_SOON)
CROWDED: Final = problem(429, "Too much of this tenant is waiting for the log.", RETRY_SOON)
BROKEN: Final = problem(500, "The service failed; nothing is known of the events. Send them again.")
LOG_AWAY: Final = problem(503, "The log does not take events now. Send them again.", RETRY_SOON)
OVERLOADED: Final = problem(503, "Too many events are waiting for the log. Send them again.", RETRY_SOON)
REGISTRY_AWAY: Final = problem(503, "The key or tenant cannot be looked up now. Send again.", RETRY_SOON)
