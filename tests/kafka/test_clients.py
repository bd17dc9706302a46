"""Leaving the log: whatever a client says of its own end, its owner goes on; being told to stop is another matter."""

import asyncio

import pytest

from services.kafka.clients import leave


async def test_the_end_of_a_clients_own_tasks_does_not_end_its_owner() -> None:
    async def stopping() -> None:
        fetching = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        fetching.cancel()
        await fetching

    await leave(stopping(), seconds=5)


async def test_a_client_that_fails_or_lasts_is_left_behind() -> None:
    async def failing() -> None:
        raise RuntimeError

    await leave(failing(), seconds=5)
    await leave(asyncio.sleep(60), seconds=0.01)


async def test_an_owner_that_is_told_to_stop_stops() -> None:
    owner = asyncio.create_task(leave(asyncio.sleep(60), seconds=60))
    await asyncio.sleep(0)
    owner.cancel()

    with pytest.raises(asyncio.CancelledError):
        await owner
