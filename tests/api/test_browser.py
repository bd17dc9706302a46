"""The stream of a feed as a browser reads it: its EventSource comes back by itself, with the last id it saw."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fastapi import FastAPI

from services.api.store.keys import ensure_admin_key
from services.child import free_port
from services.postgres import Pool
from tests.api.browser import following
from tests.api.conftest import ADMIN
from tests.api.test_stream import serving, write
from tests.builders import add_tenant
from tests.patience import until


@pytest.fixture
def follow() -> Iterator[Callable[[str], list[str]]]:
    """Opens a page on the stream at an address; gives the titles it is told of."""
    with ExitStack() as open_pages:
        yield lambda address: open_pages.enter_context(following(address))


@pytest.mark.debian
async def test_a_browser_comes_back_to_a_server_that_was_away_and_sees_every_change_once(
    app: FastAPI, pool: Pool, database: str, follow: Callable[[str], list[str]]
) -> None:
    async with pool.acquire() as connection:
        await add_tenant(connection)
        await ensure_admin_key(connection, ADMIN)
    await write(database, range(2))
    port = free_port()

    async with serving(app, port) as client:
        feed = (await client.post("/v1/feeds")).json()
        titles = follow(f"{feed['url_stream']}?after=0")
        await until(lambda: len(titles) >= 2)
    await write(database, range(2, 4))
    async with serving(app, port):
        await until(lambda: len(titles) >= 4)
        await write(database, range(4, 5))
        await until(lambda: len(titles) >= 5)

    assert titles == [f"alert {n}" for n in range(5)]
