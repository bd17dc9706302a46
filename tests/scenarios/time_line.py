"""Stories told as time lines: who works on which days, how late it gets, and what the alerts have said by then.

A story is a tenant on the event clock, told over HTTP to the whole product. Days are written as ``03-02`` and working
days in a row as ``03-02..03-06``, of the year 2026 and in UTC. Time passes only where the story says so.
"""

import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import msgspec

from tests.egress.receiver import Receiver
from tests.patience import settled

YEAR = 2026
SILENT = {"updated"}
"""Changes that tell nothing new of an alert's life."""
MOST_NAMED = 4


def day(text: str) -> date:
    """Return the day that ``03-02`` is."""
    return date.fromisoformat(f"{YEAR}-{text}")


def days(text: str) -> Iterator[date]:
    """Yield the days of ``03-02 03-04..03-06``; of a stretch those from Monday to Friday."""
    for part in text.split():
        first, _, last = part.partition("..")
        if not last:
            yield day(first)
            continue
        stretch = ((day(first) + timedelta(days=n)) for n in range((day(last) - day(first)).days + 1))
        yield from (each for each in stretch if each.isoweekday() <= 5)


class Story:
    """A tenant, told by its admin. ``ready``: what the product said when it was up."""

    def __init__(self, ready: dict[str, Any], name: str, **settings: Any) -> None:
        key = {"Authorization": f"Bearer {ready['admin_key']}", "Uptake-Tenant": name}
        self.name = name
        self.api = httpx.Client(base_url=ready["api"], headers=key)
        self._ingest = ready["ingest"]
        self._numbers = itertools.count(1)
        self._waiting: list[dict[str, Any]] = []
        self.ask("POST", "/v1/tenants", {"id": name, "clock": "event", **settings})

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return what the API says."""
        answer = self.api.request(method, path, json=body, params=query)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def people(self, *users: str, since: str = "", **values: Any) -> None:
        """Put ``users`` into the directory, all with the same ``values``."""
        common = {"role": "sales", "licensed_from": "2026-01-01", **values}
        rows = [{"user": user, "email": f"{user}@{self.name}.example", **common} for user in users]
        query = {"effective_from": f"{YEAR}-{since}"} if since else {}
        assert self.ask("PUT", "/v1/directory/people", rows, **query)["errors"] == []

    def team(self, name: str, size: int, **values: Any) -> list[str]:
        """Put a team into the directory; return its people: ``north-01`` and so on."""
        users = [f"{name.lower()}-{number:02}" for number in range(1, size + 1)]
        self.people(*users, team=name, **values)
        return users

    def go_live(self, on: str, wave: str = "all", **scope: Any) -> None:
        """Let a wave go live; without ``scope`` it is for everybody."""
        self.ask("POST", "/v1/waves", {"id": wave, "name": wave.title(), "go_live": f"{YEAR}-{on}", "scope": scope})

    def work(
        self, users: Iterable[str], on: str, hour: int = 9, source: str = "/crm", kind: str = "crm.record.updated"
    ) -> None:
        """Let ``users`` work on some days. It is heard of when time passes."""
        for each, user in itertools.product(days(on), users):
            self._waiting.append(self._event(user, datetime.combine(each, time(hour), UTC), source, kind))

    def until(self, *moments: str) -> None:
        """Let what waits be heard of, and time pass until ``03-04 12:00``; then everything settles.

        It is one request, so that the product looks at nothing that lies between.
        """
        for moment in moments:
            now = datetime.fromisoformat(f"{YEAR}-{moment}").replace(tzinfo=UTC)
            self._waiting.append(self._event("nobody", now, "/clock", "crm.search.performed"))
            self._waiting.sort(key=lambda event: event["time"])
            heard = bisect_right(self._waiting, now.isoformat(), key=lambda event: event["time"])
            self._send(self._waiting[:heard])
            del self._waiting[:heard]
            settled(lambda: self.ask("GET", "/v1/status", wait=60))

    def _event(self, user: str, at: datetime, source: str, kind: str) -> dict[str, Any]:
        event = {"specversion": "1.0", "id": f"e{next(self._numbers)}", "source": source, "type": kind}
        return {**event, "time": at.isoformat(), "data": {"user": user, "origin": "ui"}}

    def _send(self, events: Sequence[dict[str, Any]]) -> None:
        headers = {"content-type": "application/cloudevents-batch+json"}
        answer = self.api.post(f"{self._ingest}/v1/events", json=events, headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.json()["rejected"] == []

    def alerts(self, **filters: str) -> list[dict[str, Any]]:
        """Return the alerts there are."""
        found = self.ask("GET", "/v1/alerts", limit=1000, **filters)
        assert found["next"] is None
        items: list[dict[str, Any]] = found["items"]
        return items

    def line(self) -> list[str]:
        """Return what became of all alerts, in time: who fared alike is told of together."""
        told: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for alert in self.alerts():
            for change in self.ask("GET", f"/v1/alerts/{alert['id']}/history", limit=1000)["items"]:
                if change["kind"] not in SILENT:
                    told[self._said(change)].append(change["alert"]["subject"]["key"])
        return [f"{at} {kind} {what}: {_named(keys)}" for (at, kind, what), keys in sorted(told.items())]

    def _said(self, change: dict[str, Any]) -> tuple[str, str, str]:
        alert, kind = change["alert"], change["kind"]
        happened = {"opened": alert["opened_at"], "resolved": alert["resolved_at"]}.get(kind, change["as_of"])
        what = [alert["rule"]]
        if kind in {"resolved", "restated"}:
            what.append(alert["resolution"])
        else:
            what += [alert["severity"], *(["suspected"] if alert["tier"] == "suspected" else [])]
        if alert["suppressed_by"] is not None:
            what.append(f"under {self.ask('GET', '/v1/alerts/' + alert['suppressed_by'])['rule']}")
        return happened[5:16].replace("T", " "), kind, " ".join(what)


def _named(keys: Sequence[str]) -> str:
    return " ".join(sorted(keys)) if len(keys) <= MOST_NAMED else f"{len(keys)} people"


def follow(story: Story, person: str, receiver: Receiver) -> str:
    """Let ``person`` follow alerts by a webhook and a feed, with a key of their own; return the feed's address."""
    key = story.ask("POST", "/v1/keys", {"scopes": ["read", "manage"], "person": person})["key"]
    own = {"Authorization": f"Bearer {key}"}
    hook = story.api.post("/v1/subscriptions", json={"kind": "webhook", "url": receiver.url}, headers=own)
    assert hook.status_code == 201, hook.text
    feed = story.api.post("/v1/feeds", json={}, headers=own)
    assert feed.status_code == 201, feed.text
    return str(feed.json()["url_json"])


def shown(feed: str) -> list[str]:
    """Return whom a feed tells of."""
    items = httpx.get(feed).raise_for_status().json()["items"]
    return sorted(item["_uptake"]["subject"]["key"] for item in items)


def said(receiver: Receiver) -> dict[str, list[str]]:
    """Return what a receiver was told of each person, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in receiver.came:
        told = msgspec.json.decode(each.body)["data"]
        alert, kind = told["alert"], told["kind"]
        ended = not alert["evidence"]
        how = f": {alert['title']}" if ended else f" {alert['resolution']}" if kind == "resolved" else ""
        found[alert["subject"]["key"]].append(f"{kind}{how}")
    return dict(found)
