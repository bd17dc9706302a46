"""How long tests wait for what is to happen: so long that only what never happens takes longer, on any machine.

A wait ends as soon as it may, and says what it waited for when it ends without. How fast something is, a test compares
with something else that it has measured; it never knows how fast the machine is.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import hypothesis
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from services import postgres

SECONDS: Final = 600.0
"""For one thing to happen. What is given to pytest for a whole test is more."""
PAUSE: Final = 0.05

Found = TypeVar("Found")


async def until(true: Callable[[], Awaitable[Found] | Found]) -> Found:
    """Wait until it is ``true``; return what was found."""
    end = time.monotonic() + SECONDS
    while True:
        found = true()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        _go_on(true, end)
        await asyncio.sleep(PAUSE)


def wait_until(true: Callable[[], Found]) -> Found:
    """Wait, and do nothing else, until it is ``true``; return what was found."""
    end = time.monotonic() + SECONDS
    while not (found := true()):
        _go_on(true, end)
        time.sleep(PAUSE)
    return found


def settled(status: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask for the ``status`` of a tenant until all is counted and judged: one question waits for a minute at most."""
    end = time.monotonic() + SECONDS
    while not (told := status())["settled"]:
        assert time.monotonic() < end, f"not settled in {SECONDS:.0f} s: {told}"
    return told


def teach() -> None:
    """Let wait as long whoever waits by itself: for an answer over HTTP, for a lock, for the next example."""
    for phase in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, phase, SECONDS)
    postgres.IMPATIENCE.update(dict.fromkeys(postgres.IMPATIENCE, f"{SECONDS:.0f}s"))
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("patient")


def _go_on(true: Callable[[], object], end: float) -> None:
    assert time.monotonic() < end, f"not in {SECONDS:.0f} s: {_words(true)}"


def _words(true: Callable[[], object]) -> str:
    try:
        return inspect.getsource(true).strip()
    except (OSError, TypeError):
        return repr(true)
