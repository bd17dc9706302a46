"""How numbers of a group are read: in few statements, each complete."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from services import postgres
from services.postgres import Pool
from tests.api.conftest import Client
from tests.api.numbers import add_cells, hide, measure, week

GROUP = {"dimension": "team", "key": "north"}
SPAN = {"from": str(week(0)), "to": str(week(4) - timedelta(days=1))}


@pytest.fixture
async def single(app: FastAPI, database: str) -> AsyncIterator[Pool]:
    """The pool of the application, with one connection, as the service opens it."""
    before, app.state.pool = app.state.pool, await postgres.connect_pool(database, name="tests", max_size=1, tidy=True)
    yield app.state.pool
    await postgres.close_pool(app.state.pool)
    app.state.pool = before


@pytest.mark.parametrize("path", ["", "/adoption.weekly_rate"])
async def test_a_quarter_of_a_group_is_one_statement_for_what_is_counted_and_one_for_what_is_known(
    api: Client, pool: Pool, single: Pool, path: str
) -> None:
    await measure(pool)
    await add_cells(pool, [("M11", week(number), 9, 12) for number in range(4)])
    asked: list[str] = []
    await api.get(f"/v1/metrics{path}", params={**GROUP, **SPAN, "limit": 1000})
    async with single.acquire() as connection:
        connection.add_query_logger(lambda record: asked.append(record.query.strip()))

    answer = await api.get(f"/v1/metrics{path}", params={**GROUP, **SPAN, "limit": 1000})

    assert answer.status_code == 200
    key, begin, *read, end = asked
    assert "api_key" in key
    assert (begin.partition(" ")[0], end) == ("begin", "rollback")
    assert len(read) == 2, read


async def test_a_window_is_hidden_that_begins_amid_a_hidden_week(api: Client, pool: Pool) -> None:
    await measure(pool)
    days = [week(0) + timedelta(days=number) for number in range(28)]
    await add_cells(pool, [("M10", day, 9, 12) for day in days])
    await hide(pool, week(1))

    async def reasons(window: str, first: int, last: int) -> list[Any]:
        params = {**GROUP, "window": window, "from": str(days[first]), "to": str(days[last])}
        answer = await api.get("/v1/metrics/adoption.daily_rate", params=params)
        return [item["reason"] for item in answer.json()["items"]]

    assert await reasons("1d", 10, 14) == ["suppressed"] * 4 + [None]
    assert await reasons("7d", 16, 21) == ["suppressed"] * 4 + [None] * 2


async def test_all_metrics_at_once_are_told_as_each_by_itself(api: Client, pool: Pool) -> None:
    await measure(pool)
    codes = ("M11", "M1:3", "M16:deal", "M21:quote", "M25", "X:on_leave", "A")
    await add_cells(pool, [(code, week(number), 8, 12) for number in range(4) for code in codes])
    await add_cells(pool, [("M10", week(0) + timedelta(days=number), 9, 12) for number in range(28)], revision=1)
    whole = (await api.get("/v1/metrics", params={**GROUP, **SPAN, "limit": 1000})).json()["items"]

    for metric in ("adoption.weekly_rate", "adoption.daily_rate", "behaviour.feature_reach", "access.connected_by"):
        alone = (await api.get(f"/v1/metrics/{metric}", params={**GROUP, **SPAN})).json()["items"]
        assert alone == [item for item in whole if item["metric"] == metric]
        assert any(item["value"] for item in alone)
