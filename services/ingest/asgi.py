"""How the intake speaks ASGI: a request is worked on, and whatever comes of it is one answer."""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final, NamedTuple

from services.ingest import problems
from services.ingest.bodies import SenderGoneError
from services.ingest.landing import CrowdedError
from services.ingest.problems import Problem, RefusedError
from services.ingest.publisher import OverloadedError
from services.kafka import LogUnavailableError

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON: Final[Headers] = ((b"content-type", b"application/json"),)


class Answer(NamedTuple):
    """What a sender is told; the length of the body is added when it is sent."""

    status: int
    body: bytes
    headers: Headers = JSON


async def respond(working: Awaitable[Answer], send: Send, told: Callable[[int], None]) -> None:
    """Send what comes of ``working``; ``told`` learns the status. A sender who has gone is told nothing."""
    try:
        answer = await working
    except RefusedError as refused:
        answer = spoken(refused.problem)
    except SenderGoneError:
        return
    except Exception:
        log.exception("a request failed")
        answer = spoken(problems.BROKEN)
    told(answer.status)
    await say(send, answer)


async def say(send: Send, answer: Answer, *, silent: bool = False) -> None:
    """Send ``answer``; ``silent``: its head alone."""
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if silent else answer.body})


def spoken(problem: Problem) -> Answer:
    """Return the answer that tells a problem."""
    return Answer(problem.status, problem.body, ((b"content-type", problems.CONTENT_TYPE), *problem.headers))


@contextlib.contextmanager
def landing() -> Iterator[None]:
    """Refuse the request when what is landed within cannot land now."""
    try:
        yield
    except (LogUnavailableError, OverloadedError) as error:
        raise RefusedError(problems.LOG_AWAY) from error
    except CrowdedError as error:
        raise RefusedError(problems.CROWDED) from error
