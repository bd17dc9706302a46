"""Waiting that ends when a service is told to stop, and what need not be waited for."""

import asyncio
import contextlib
import socket


def is_nameless(error: BaseException) -> bool:
    """Tell whether nobody knows the name of a machine; a name server that does not answer may know it soon."""
    return isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until ``stop``."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
