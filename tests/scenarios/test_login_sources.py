"""Who has not logged in is told only as far as logins are known: unknown is never an emergency."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patience import settled
from tests.stack import ROOT, Stack

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
CREW = [f"{number:03}" for number in range(12)]
EMERGENCY = "wave-connection-d3-emergency"


def run(
    ready: dict[str, Any], tenant: str, *arguments: object, text: bytes | None = None
) -> tuple[int, dict[str, Any], str]:
    """Run ``uptake import``; return its exit status, what it printed, and what it said beside."""
    command = [sys.executable, "-m", "services.cli", "import", *(str(part) for part in arguments)]
    command += ["--url", ready["ingest"], "--api", ready["api"], "--key", ready["admin_key"], "--tenant", tenant]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run(command, cwd=ROOT, env=env, input=text, capture_output=True, check=False)
    printed = done.stdout.decode().splitlines()
    return done.returncode, json.loads(printed[-1]) if printed else {}, done.stderr.decode()


class House:
    """A tenant whose logins connect people, with a wave of twelve on Monday and a week of work without a login."""

    def __init__(self, product: Stack, tenant: str) -> None:
        self.ready = product.ready
        self._tenant = tenant
        self._access = {"authorization": f"Bearer {self.ready['admin_key']}", "uptake-tenant": tenant}
        self.call("POST", "/v1/tenants", json={"id": tenant, "clock": "event", "connected_by": "login"})
        people = "".join(f"{user},seller,north,2026-01-01\n" for user in CREW)
        self.call(
            "PUT",
            "/v1/directory/people",
            content=f"user,role,team,licensed_from\n{people}",
            headers={"content-type": "text/csv"},
        )
        self.call("POST", "/v1/sources", json={"id": f"hubspot-{tenant}", "kind": "hubspot", "secrets": ["its-secret"]})
        self.call("POST", "/v1/waves", json={"id": "w", "name": "Wave", "go_live": "2026-03-02"})
        self.work(CREW[0], days=7)

    def call(self, method: str, path: str, *, to: str = "api", **request: Any) -> Any:
        request["headers"] = self._access | request.pop("headers", {})
        answer = httpx.request(method, self.ready[to] + path, **request)
        assert answer.is_success, answer.text
        return answer.json()

    def work(self, user: str, *, days: int) -> None:
        event = {
            "specversion": "1.0",
            "id": f"{user}-{days}",
            "source": "/crm",
            "type": "crm.record.updated",
            "time": (MONDAY + timedelta(days=days)).isoformat(),
            "data": {"user": user, "origin": "ui"},
        }
        kind = {"content-type": "application/cloudevents+json"}
        self.call("POST", "/v1/events", to="ingest", content=json.dumps(event), headers=kind)

    def settled(self) -> dict[str, Any]:
        return settled(lambda: self.call("GET", "/v1/status?wait=60"))

    def connection(self, n: int) -> dict[str, Any]:
        self.settled()
        items = self.call("GET", "/v1/waves/w/connection")["items"]
        return next({name: value for name, value in item.items() if name != "n"} for item in items if item["n"] == n)

    def alerts(self, state: str = "open") -> dict[str, int]:
        """Return the number of alerts by rule."""
        found = [alert["rule"] for alert in self.call("GET", f"/v1/alerts?state={state}&limit=500")["items"]]
        return {rule: found.count(rule) for rule in sorted(set(found))}

    def source(self) -> dict[str, Any]:
        seen = self.settled()["sources"]
        found: dict[str, Any] = next(each for each in seen if each["id"] == f"/hooks/hubspot-{self._tenant}")
        return found

    def imported(self, *arguments: object, text: bytes | None = None) -> dict[str, Any]:
        """Import HubSpot's logins to the source; return the counts."""
        named = ("--format", "hubspot-logins", "--source", f"hubspot-{self._tenant}")
        status, told, said = run(self.ready, self._tenant, *arguments, *named, text=text)
        assert (status, said) == (0, "")
        del told["seconds"]
        return told


def logins(name: str, users: list[str], day: float, *, good: bool = True) -> list[dict[str, Any]]:
    """Return rows of HubSpot's login history."""
    at = (MONDAY + timedelta(days=day)).isoformat()
    return [{"id": f"{name}-{user}", "loginAt": at, "loginSucceeded": good, "userId": user} for user in users]


def file(path: Path, *rows: dict[str, Any]) -> Path:
    data = json.dumps({"results": rows}).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_without_a_source_of_logins_nobody_is_missing_until_they_are_imported(product: Stack, tmp_path: Path) -> None:
    house = House(product, "unknown")

    unknown = {"num": 0, "den": 12, "value": None, "settled": False, "missing": [], "reason": "login-source-none"}
    assert house.connection(3) == unknown
    assert house.alerts() == {}
    assert house.source() == {"id": "/hooks/hubspot-unknown", "last_event_at": None, "state": "none"}

    half = file(tmp_path / "half.json", *logins("a", CREW[:6], 1), *logins("b", CREW[6:], 1, good=False))
    assert house.imported(half, "--until", "2026-03-09T00:00:00Z") == {
        "sent": 12,
        "accepted": 12,
        "skipped": 0,
        "rejected": 0,
    }
    judged = house.connection(3)
    assert (judged["num"], judged["den"], judged["settled"], judged["missing"]) == (6, 12, True, CREW[6:])
    assert house.alerts() == {"user-never-logged-in-d3": 6, EMERGENCY: 1}
    assert house.source()["state"] == "ok"

    rest = file(tmp_path / "rest.json.gz", *logins("c", CREW[6:], 1.1))
    assert house.imported(rest)["accepted"] == 6
    assert house.connection(3)["num"] == 12
    assert house.alerts() == {}


def test_an_import_speaks_for_the_time_up_to_its_newest_login(product: Stack, tmp_path: Path) -> None:
    house = House(product, "until")
    tuesday = file(tmp_path / "tuesday.json", *logins("a", CREW[:3], 1))

    house.imported(tuesday)
    assert house.connection(0) == {"num": 0, "den": 12, "value": 0.0, "settled": True, "missing": CREW}
    assert house.connection(1)["settled"] is False
    assert house.connection(1)["value"] == 0.25
    assert house.connection(5)["reason"] == "login-source-stale"
    assert house.alerts() == {}
    assert house.source()["state"] == "stale"

    house.imported(tuesday, "--until", "2026-03-04T00:00:00Z")
    house.imported(tuesday)
    assert house.connection(1)["settled"] is True, "an older file takes nothing back"
    assert house.alerts("resolved") == {"wave-connection-d1-below-target": 1}


def test_what_happened_live_is_trusted_for_three_days(product: Stack) -> None:
    house = House(product, "live")
    rows = "".join(f"{user},{(MONDAY + timedelta(days=2)).isoformat()}\n" for user in CREW[:4])
    event = {"specversion": "1.0", "id": "live", "source": "/sso", "type": "crm.session.login"}
    event |= {"time": (MONDAY + timedelta(hours=1)).isoformat(), "data": {"user": CREW[5]}}
    kind = {"content-type": "application/cloudevents+json"}
    house.call("POST", "/v1/events", to="ingest", content=json.dumps(event), headers=kind)

    assert house.connection(2)["settled"] is True
    assert house.connection(3)["reason"] == "login-source-stale"
    assert house.alerts() == {"user-not-connected-d2": 11}

    table = {"content-type": "text/csv"}
    house.call("POST", "/v1/logins?format=csv", to="ingest", content=f"user,time\n{rows}", headers=table)
    assert house.connection(2)["num"] == 5


def test_a_dry_run_changes_nothing_and_stdin_is_a_file(product: Stack) -> None:
    house = House(product, "dry")
    rows = json.dumps(logins("a", CREW, 1)).encode()

    assert house.imported("-", "--dry-run", text=rows)["accepted"] == 12
    assert house.connection(1)["reason"] == "login-source-none"
    assert house.imported("-", text=rows) == house.imported("-", text=rows)
    assert house.connection(0)["settled"] is True
    assert house.settled()["duplicates"] == 12


def test_refused_rows_are_named_and_then_nothing_is_complete(product: Stack, tmp_path: Path) -> None:
    house = House(product, "refused")
    (tmp_path / "logins.csv").write_text('user,time,note\n"001",2026-03-03T09:00:00Z,"two\nlines"\n002,soon,\n')

    status, told, said = run(
        product.ready, "refused", tmp_path / "logins.csv", "--format", "csv", "--source", "hubspot-refused"
    )

    assert (status, told["accepted"], told["rejected"]) == (1, 1, 1)
    assert said == f"{tmp_path}/logins.csv: row 2: time must be a date and time\n"
    assert house.call("GET", "/v1/sources/hubspot-refused/logins")["until"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Makefile", "--format", "xlsx"], "--format must be one of csv, dataverse-audit"),
        (["Makefile", "--format", "csv", "--until", "2026-03-01T00:00:00Z"], "give --source"),
        (["none.csv", "--format", "csv"], "none.csv: no such file"),
        (["Makefile", "--format", "csv"], "answered 400 Bad Request: The body lacks the column user"),
        (["Makefile", "--format", "csv", "--source", "nothing"], "answered 404 Not Found: There is no such source"),
    ],
    ids=["format", "until", "file", "table", "source"],
)
def test_what_goes_wrong_is_one_line(product: Stack, arguments: list[str], words: str) -> None:
    status, told, said = run(product.ready, "unknown", *arguments)

    assert (status, told) == (1, {})
    assert words in said
    assert len(said.splitlines()) == 1
