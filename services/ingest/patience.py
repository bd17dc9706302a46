"""Waiting for what others wait for, too, and no longer than oneself may: the end of one's patience changes nothing."""

import asyncio
from typing import Any


async def done_by(until: float, awaited: "asyncio.Future[Any]") -> bool:
    """Return whether ``awaited`` is done by ``until`` of the loop's clock. It is never cancelled."""
    if not awaited.done():
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake(_: object = None) -> None:
            if not waiter.done():
                waiter.set_result(None)

        timer = loop.call_at(until, wake)
        awaited.add_done_callback(wake)
        try:
            await waiter
        finally:
            timer.cancel()
            awaited.remove_done_callback(wake)
    return awaited.done()
