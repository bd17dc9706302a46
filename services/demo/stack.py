"""A running stack as its clients see it: what the demonstration asks of it, each an HTTP call or two."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

Item = dict[str, Any]

PATIENCE: Final = 600
"""How many seconds a refused batch is offered again, and everything may take to be counted and judged."""
QUESTION: Final = 60
"""How many seconds one question after `settled` may take."""
CONFLICT: Final = 409
BUSY: Final = frozenset({429, 503})


class DemoError(RuntimeError):
    """The stack did not do its part; the message is one line."""


class Stack:
    """The API and ingest of one stack, seen by the tenant of the demonstration."""

    def __init__(self, ready: Mapping[str, str], tenant: str) -> None:
        self.api = ready["api"].rstrip("/")
        self.ingest = ready["ingest"].rstrip("/")
        self.tenant = tenant
        headers = {"Authorization": f"Bearer {ready['admin_key']}", "Uptake-Tenant": tenant}
        self._client = httpx.AsyncClient(headers=headers, timeout=PATIENCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def open_tenant(self, body: Item) -> None:
        """Create the tenant; one that is there already stays as it is."""
        await self._declare("/v1/tenants", {"id": self.tenant, **body})

    async def declare_wave(self, body: Item) -> None:
        """Declare a wave; one that is there already stays as it is."""
        await self._declare("/v1/waves", body)

    async def import_people(self, text: str) -> None:
        """Import the directory.

        Raises:
            DemoError: a row was refused.
        """
        answer = await self._call(
            "PUT", f"{self.api}/v1/directory/people", content=text.encode(), headers={"Content-Type": "text/csv"}
        )
        if errors := _told(answer)["errors"]:
            raise DemoError(f"the directory was not taken: {errors[0]}")

    async def post(self, events: Sequence[Item]) -> None:
        """Post a batch of events, offering it again while ingest is busy.

        Raises:
            DemoError: ingest refused the batch or an event of it.
        """
        body = msgspec.json.encode(events)
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        for _ in range(PATIENCE):
            answer = await self._call("POST", f"{self.ingest}/v1/events", content=body, headers=headers)
            if answer.status_code not in BUSY:
                break
            await asyncio.sleep(1)
        if rejected := _told(answer)["rejected"]:
            raise DemoError(f"an event was rejected: {rejected[0]}")

    async def settle(self) -> None:
        """Wait until everything sent is counted and judged.

        Raises:
            DemoError: it took more than ten minutes.
        """
        for _ in range(PATIENCE // QUESTION):
            status = await self._get(f"/v1/status?wait={QUESTION}")
            if status["settled"]:
                return
        raise DemoError(f"not everything was counted and judged within {PATIENCE} s (lag {status['lag']})")

    async def windows(self, dimension: str, first: date, last: date) -> list[Item]:
        """Return every window of ``dimension`` with an as-of day from ``first`` to ``last``."""
        days = {"from": first.isoformat(), "to": last.isoformat()}
        return await self._pages("/v1/windows", dimension=dimension, **days)

    async def alerts(self) -> list[Item]:
        """Return every alert of the tenant, the newest first."""
        return await self._pages("/v1/alerts")

    async def status(self) -> Item:
        """Return the counters of the tenant."""
        return await self._get("/v1/status")

    async def _declare(self, path: str, body: Item) -> None:
        answer = await self._call("POST", self.api + path, json=body)
        if answer.status_code != CONFLICT:
            _told(answer)

    async def _get(self, path: str) -> Item:
        return _told(await self._call("GET", self.api + path))

    async def _pages(self, path: str, **question: str) -> list[Item]:
        items: list[Item] = []
        cursor: dict[str, str] = {}
        while True:
            page = _told(await self._call("GET", self.api + path, params={**question, "limit": "1000", **cursor}))
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = {"cursor": page["next"]}

    async def _call(self, method: str, url: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - as httpx takes it
        try:
            return await self._client.request(method, url, **request)
        except httpx.HTTPError as error:
            raise DemoError(f"{method} {url}: {error or type(error).__name__}") from error


def _told(answer: httpx.Response) -> Item:
    if not answer.is_success:
        request = answer.request
        raise DemoError(f"{request.method} {request.url.path} answered {answer.status_code}: {answer.text[:200]}")
    told: Item = answer.json()
    return told
