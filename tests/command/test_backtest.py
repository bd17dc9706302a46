"""``uptake backtest``: drafts are tried on the history of a running product."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.builders import event
from tests.command.conftest import Run
from tests.patience import settled
from tests.stack import Stack

D3 = "user-never-logged-in-d3"
GO_LIVE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_it_prints_what_the_rules_would_have_done_and_the_answer_as_json(
    uptake: Run, running: Stack, tmp_path: Path
) -> None:
    ready = running.ready
    access = ["--key", ready["admin_key"], "--tenant", "tried", "--url", ready["api"]]
    admin = {"authorization": f"Bearer {ready['admin_key']}", "uptake-tenant": "tried"}
    with httpx.Client(base_url=ready["api"], headers=admin) as api:
        api.post("/v1/tenants", json={"id": "tried", "clock": "event", "privacy": {"min_group": 1}}).raise_for_status()
        people = [{"user": name, "team": "north", "licensed_from": "2026-01-01"} for name in ("came", "stays")]
        api.put("/v1/directory/people", json=people).raise_for_status()
        api.post("/v1/waves", json={"id": "w", "name": "North", "go_live": "2026-03-02"}).raise_for_status()
        events = tmp_path / "events.ndjson"
        moments = [GO_LIVE, GO_LIVE + timedelta(days=9)]
        told = [event(user="came", id=f"t{n}", time=at) for n, at in enumerate(moments)]
        events.write_text("".join(json.dumps(each) + "\n" for each in told))
        sent = uptake("replay", events, *access[:4], "--url", ready["ingest"])
        assert sent.returncode == 0, sent.stderr
        settled(lambda: api.get("/v1/status", params={"wait": 60}).json())
        opened = {each["id"] for each in api.get("/v1/alerts", params={"rule": D3}).json()["items"]}

    done = uptake("backtest", *access, "--sweep", f"{D3}.by=2,3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    answer = json.loads(lines[-1])
    found = [each for each in answer["episodes"] if each["rule"] == D3]
    assert {each["id"] for each in found} == opened != set()
    assert any(D3 in line and found[0]["title"] in line for line in lines)
    assert f"{D3}: 1 opened, 0 silenced, 0 closed" in lines
    assert [line.split()[:2] for line in lines if re.match(r"by  |[23]  ", line)] == [
        ["by", "opened"],
        ["2", "1"],
        ["3", "1"],
    ]
    assert ["any", "10", "85", "%", "55", "%"] in [line.split() for line in lines]

    draft = tmp_path / "draft.yaml"
    draft.write_text(f"- id: {D3}\n  enabled: false\n")
    off = uptake("backtest", draft, *access, "--from", "2026-03-01", "--to", "2026-03-11", "--knowledge", "then")
    assert off.returncode == 0, off.stderr
    assert json.loads(off.stdout.splitlines()[-1])["episodes"] == []
    assert f"{D3}: disabled" in off.stdout.splitlines()
    assert json.loads(off.stdout.splitlines()[-1])["rules"][0]["knowledge"].startswith("approximate: ")
    odd = uptake("backtest", *access, "--sweep", D3)
    assert (odd.returncode, odd.stderr.count("--sweep must be like")) == (1, 1)

    draft.write_text(f"- id: {D3}\n  minimum: none\n")
    wrong = uptake("backtest", draft, *access)
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines()[0].startswith("/rules/0/minimum: ")
