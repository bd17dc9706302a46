"""What the command says to the services over HTTP: how it is allowed to, and what went wrong in one line."""

import time
from typing import Annotated, Final

import httpx
import typer

from services.settings import load

RETRIED: Final = frozenset({429, 500, 502, 503, 504})
FIRST_PATIENCE: Final = 10.0
PATIENCE: Final = 300.0
"""How long an unanswered call is tried again: at first for a mistyped address, later for a restart."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_LONGEST_ASKED: Final = 5.0

Key = Annotated[str, typer.Option(help="The key, upt_<id>_<secret> [default: UPTAKE_ADMIN_KEY].")]
Tenant = Annotated[str, typer.Option(help="The tenant, for an admin key.")]


class CallError(RuntimeError):
    """A service refused, or cannot be reached; the message is one line."""


def headers(key: str, tenant: str) -> dict[str, str]:
    """Return the headers of a request with ``key`` for ``tenant``.

    Raises:
        CallError: no key is known.
    """
    key = key or load().admin_key
    if not key:
        raise CallError("no key: give --key, or set UPTAKE_ADMIN_KEY")
    return {"authorization": f"Bearer {key}", **({"uptake-tenant": tenant} if tenant else {})}


def refusal(response: httpx.Response) -> CallError:
    """Return the refusal of a service as an error: its problem's title and detail."""
    try:
        problem = response.json()
        words = ": ".join(str(problem[part]) for part in ("title", "detail") if problem.get(part))
    except (ValueError, AttributeError):
        words = response.reason_phrase
    return CallError(f"{response.url.copy_with(query=None)} answered {response.status_code} {words}")


class Patience:
    """How long calls are repeated that are refused for now; longer once a service has answered."""

    def __init__(self) -> None:
        self._seconds = FIRST_PATIENCE

    def begin(self, url: str) -> "Attempts":
        """Return the attempts of one call."""
        return Attempts(self, url, time.monotonic() + self._seconds)

    def answered(self) -> None:
        """Note that there is a service."""
        self._seconds = PATIENCE


class Attempts:
    """The attempts of one call, each followed by a longer pause, until it is answered or it is too late."""

    def __init__(self, patience: Patience, url: str, until: float) -> None:
        self._patience = patience
        self._url = url
        self._until = until
        self._pause = _FIRST_PAUSE

    def pause_after(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds to wait before the next attempt; None: the answer stands.

        Raises:
            CallError: it is too late for another one.
        """
        late = time.monotonic() > self._until
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        if isinstance(outcome, httpx.TransportError):
            if late:
                raise CallError(f"{self._url}: {outcome or type(outcome).__name__}") from outcome
            return pause
        self._patience.answered()
        if outcome.status_code not in RETRIED:
            return None
        if late:
            raise refusal(outcome)
        asked = outcome.headers.get("retry-after", "")
        return max(min(float(asked), _LONGEST_ASKED), pause) if asked.isdecimal() else pause
