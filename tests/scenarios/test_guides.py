"""The commands of the guides, run as they stand there by somebody who began with the quickstart."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.stack import ROOT, Stack

GUIDES = ROOT / "docs" / "guides"
TENANT = "reader"
"""Theirs, where the guides say ``acme``: the product is shared."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ELSEWHERE = {
    "backup.md": "tests/command/test_backup.py runs them",
    "kubernetes.md": "of a cluster",
    "logins.md": "tests/scenarios/test_login_sources.py imports",
    "metrics.md": "tests/api/test_metrics_guide.py asks them",
    "scaling.md": "a benchmark",
}
"""Guides whose commands are not for the services."""
FOREIGN = re.compile(
    r"pipedrive\.com|zohoapis\.com|^make |uptake up$|^docker |^export |UPTAKE_\w+=|^\d+ \d+ \* |stream\"|:8082/|:9093/"
)
"""What is said to a CRM or to a port that is another here, starts the product, sets something, or never ends."""
FILES = {
    "RULES.yaml": "- {id: stale-close-dates, params: {at_least: 25, closes_at: 15}}\n",
}
"""What a reader has, and no guide shows."""


def blocks(guide: str, *languages: str) -> list[str]:
    """Return the blocks of a guide in any of the ``languages``."""
    return [text for language, text in BLOCK.findall((GUIDES / guide).read_text()) if language in languages]


def commands(guide: str) -> list[str]:
    """Return the commands of a guide that can be run here, in order."""
    lines = re.split(r"\n(?![ }])", "\n".join(blocks(guide, "sh")).replace("\\\n", "\\\n "))
    return [line for line in lines if line.strip() and not line.startswith("#") and not FOREIGN.search(line)]


class Reader:
    """Somebody at a shell, with the product on the ports of the guides."""

    def __init__(self, product: Stack, home: Path) -> None:
        ready = product.ready
        self.home = home
        self.hosts = {
            "http://127.0.0.1:8080": ready["api"],
            "http://127.0.0.1:8081": ready["ingest"],
            "https://uptake.example.com": ready["api"],
            "https://in.example.com/v1/logins": f"{ready['ingest']}/v1/logins",
            "--url https://in.example.com": f"--url {ready['ingest']}",
        }
        self.env = {
            "PATH": f"{home}:{os.environ['PATH']}",
            "HOME": str(home),
            "UPTAKE_ADMIN_KEY": ready["admin_key"],
            "UPTAKE_KAFKA": ready["kafka"],
            "UPTAKE_DATABASE": ready["database"],
            "UPTAKE_API_PORT": str(urlsplit(ready["api"]).port),
            "UPTAKE_INGEST_PORT": str(urlsplit(ready["ingest"]).port),
            "API": ready["api"],
            "UPTAKE": ready["api"],
            "KEY": "",
        }
        program = home / "uptake"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m services.cli "$@"\n')
        program.chmod(0o755)
        (home / ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 100\n")
        shown = {"registry.json": blocks("records.md", "json")[0]}
        for name, text in (FILES | shown).items():
            (home / name).write_text(text)

    def run(self, command: str) -> str:
        """Run one command of a guide; return what it printed."""
        for host, ours in self.hosts.items():
            command = command.replace(host, ours)
        command = command.replace(".venv/bin/uptake", "uptake").replace("upt_…", self.env["KEY"])
        command = command.replace("acme", TENANT)
        command = re.sub(r"--key KEY\b", '--key "$KEY"', command)
        [alias] = re.findall(r"^alias (api=.*)$", "\n".join(blocks("quickstart.md", "sh")), re.MULTILINE)
        script = f"shopt -s expand_aliases\nalias {alias.replace('acme', TENANT)}\n{command}\n"
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=self.home,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def quickstart(product: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reader, dict[str, str]]:
    """Return a reader who followed the quickstart, and what each of its commands printed."""
    reader = Reader(product, tmp_path_factory.mktemp("reader"))
    [people], events = blocks("quickstart.md", "csv"), blocks("quickstart.md", "json")[0]
    (reader.home / "people.csv").write_text(people)
    (reader.home / "events.ndjson").write_text(events)
    subprocess.run(["gzip", "--keep", "events.ndjson"], cwd=reader.home, check=True)
    printed = {command: reader.run(command) for command in commands("quickstart.md") if not command.startswith("alias")}
    keys = [json.loads(text)["key"] for command, text in printed.items() if "/v1/keys" in command]
    assert len(set(keys)) == 2
    made = reader.run("api -H 'Content-Type: application/json' http://127.0.0.1:8080/v1/keys "
                      """-d '{"tenant": "acme", "scopes": ["ingest", "read", "manage"]}'""")  # fmt: skip
    reader.env["KEY"] = json.loads(made)["key"]
    return reader, printed


def test_the_quickstart_shows_who_did_not_come(quickstart: tuple[Reader, dict[str, str]]) -> None:
    [alerts] = [json.loads(text) for command, text in quickstart[1].items() if "state=open" in command]
    [connection] = [json.loads(text) for command, text in quickstart[1].items() if "/connection" in command]

    assert ("user-not-connected-d2", "u2") in {(alert["rule"], alert["subject"]["key"]) for alert in alerts["items"]}
    assert connection["items"]


@pytest.mark.parametrize(
    "guide",
    [guide for guide in sorted(path.name for path in GUIDES.glob("*.md")) if guide != "quickstart.md"
     and guide not in ELSEWHERE and blocks(guide, "sh")],
)  # fmt: skip
def test_what_a_guide_says_works(quickstart: tuple[Reader, dict[str, str]], guide: str) -> None:
    for command in commands(guide):
        quickstart[0].run(command)
