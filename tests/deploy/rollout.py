"""A small rollout with something of everything that a dashboard shows: an emergency, placeholders, a dead letter.

Two weeks of thirty-nine people on the clock of their events. Of two teams a third comes, and that a week late; three
people are a team too small to be told of.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from tests.patience import settled
from tests.stack import Stack

TENANT: Final = "acme"
GO_LIVE: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday."""
SECOND: Final = (GO_LIVE + timedelta(days=8)).date()
"""Its D+3 is over at the end, and its D+5 is not."""
DAYS: Final = (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
END: Final = GO_LIVE + timedelta(days=15)
TEAMS: Final = {"North": 12, "South": 12, "West": 12, "Tiny": 3}
LATE: Final = ("south", "west")
LATE_BY: Final = 7
LATE_COMERS: Final = 4
DEALS: Final = 4


def settings() -> dict[str, Any]:
    """Return what the stack must be told for it."""
    return {"delivery_networks": "127.0.0.0/8", "publish_seconds": 60}


def tell(stack: Stack) -> None:
    """Tell it all, and wait until it is counted and judged."""
    headers = {"Authorization": f"Bearer {stack.ready['admin_key']}", "Uptake-Tenant": TENANT}
    with httpx.Client(base_url=stack.ready["api"], headers=headers) as api:
        _set_up(api)
        for batch in (list(_deals()), list(_work())):
            kind = {"Content-Type": "application/cloudevents-batch+json"}
            assert api.post(f"{stack.ready['ingest']}/v1/events", json=batch, headers=kind).status_code == 202
        letter = api.post(f"{stack.ready['ingest']}/v1/hooks/erp/open-sesame", content=b"{", headers=_JSON)
        assert letter.status_code == httpx.codes.BAD_REQUEST, letter.text
        settled(lambda: api.get("/v1/status?wait=60").json())


_JSON: Final = {"Content-Type": "application/json"}


def _set_up(api: httpx.Client) -> None:
    for path, body in (
        ("/v1/tenants", {"id": TENANT, "clock": "event", "privacy": {"min_group": 5}}),
        ("/v1/directory/quality/approve", None),
        ("/v1/sources", {"id": "erp", "kind": "odoo", "secrets": ["open-sesame"]}),
        ("/v1/waves", {"id": "one", "name": "One", "go_live": GO_LIVE.date().isoformat()}),
        ("/v1/waves", {"id": "two", "name": "Two", "go_live": SECOND.isoformat(), "scope": {"teams": ["South"]}}),
        (
            "/v1/annotations",
            {"id": "kick-off", "kind": "training", "title": "Kick-off", "starts_on": GO_LIVE.date().isoformat()},
        ),
        ("/v1/subscriptions", {"kind": "webhook", "name": "deaf", "url": "http://127.0.0.1:1025/"}),
    ):
        answer = api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.text}"
    people = [
        {"user": user, "team": team, "role": "sales", "licensed_from": "2026-01-01"} for user, team in _everybody()
    ]
    assert api.put("/v1/directory/people", json=people).json()["errors"] == []


def _everybody() -> Iterator[tuple[str, str]]:
    yield from ((f"{team.lower()}-{number}", team) for team, size in TEAMS.items() for number in range(size))


def _deals() -> Iterator[dict[str, Any]]:
    """Yield the deals of everybody, one in four of them with a placeholder and one without the next step."""
    for user, first in _comers():
        for number in range(DEALS):
            fields = {"amount": "placeholder" if number == 0 else "filled", "close_date": "filled"}
            fields["next_step"] = "filled" if number > 1 else "empty"
            yield _event(
                GO_LIVE + timedelta(days=first, minutes=number),
                user,
                "crm.record.created",
                object="opportunity",
                record=f"{user}/{number}",
                owner=user,
                fields=fields,
            )


def _comers() -> Iterator[tuple[str, int]]:
    """Yield who comes, and on which day first."""
    for user, _ in _everybody():
        late = user.startswith(LATE)
        if not late or int(user.rpartition("-")[2]) < LATE_COMERS:
            yield user, LATE_BY if late else 0


def _work() -> Iterator[dict[str, Any]]:
    for user, first in _comers():
        for day in (day for day in DAYS if day >= first):
            at = GO_LIVE + timedelta(days=day, hours=1)
            yield _event(at, user, "crm.session.login")
            yield _event(at, user, "crm.record.viewed", object="opportunity", record=f"{user}/0")
    yield _event(END, "somebody-unknown", "crm.record.viewed", object="opportunity", record="x")


def _event(at: datetime, user: str, kind: str, **data: Any) -> dict[str, Any]:
    told = {"specversion": "1.0", "id": f"{user}-{kind}-{at.isoformat()}", "source": "/crm", "type": kind}
    return told | {"time": at.isoformat(), "data": {"user": user, "origin": "ui", **data}}
