"""Coming to the log, where nobody may answer, and leaving it: whatever a client says of its end, its owner goes on."""

import asyncio

import pytest

from services.kafka import LogUnavailableError, NoSuchBrokerError, ensure_topics, look_up
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


@pytest.mark.parametrize(
    ("brokers", "kind", "words"),
    [
        ("127.0.0.1:1", LogUnavailableError, "no answer at 127.0.0.1:1"),
        ("nobody.invalid:1,127.0.0.1:1", LogUnavailableError, "no answer at nobody.invalid:1,127.0.0.1:1"),
        ("nobody.invalid:1,nothing.invalid:2", NoSuchBrokerError, "nobody.invalid:1: "),
    ],
    ids=["nobody is there", "one of two is not known", "none is known"],
)
async def test_why_no_broker_lets_us_in_is_said_in_a_few_words(
    brokers: str, kind: type[LogUnavailableError], words: str
) -> None:
    with pytest.raises(LogUnavailableError) as told:
        await ensure_topics(brokers, partitions=1, replication=1)

    assert type(told.value) is kind
    assert words in str(told.value)


async def test_it_is_enough_when_the_name_of_one_broker_is_known() -> None:
    await look_up("nobody.invalid:1,127.0.0.1:1")

    with pytest.raises(NoSuchBrokerError, match=r"nobody\.invalid:1: .+; nothing\.invalid:2: "):
        await look_up("nobody.invalid:1,nothing.invalid:2")
