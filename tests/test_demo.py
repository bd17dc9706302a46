"""``uptake demo`` tells the whole story on embedded engines and finds exactly what the story holds."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from services.demo.verdict import STORY
from services.simulator import events, false_alarms, known_alerts, stage

ROOT = Path(__file__).parents[1]
SUMMARY = {"events", "people", "windows", "alerts", "seconds"}


@pytest.fixture(scope="module")
def told() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "demo", "--exit"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_demo_ends_well_and_its_last_line_is_the_summary(told: subprocess.CompletedProcess[str]) -> None:
    assert told.returncode == 0, told.stderr
    summary = json.loads(told.stdout.splitlines()[-1])
    story = stage()

    assert summary.keys() == SUMMARY
    assert summary["events"] == sum(1 for _ in events(story))
    assert summary["people"] == 300
    assert summary["windows"] > 5000


@pytest.mark.slow
def test_the_demo_finds_every_known_alert_and_no_other(told: subprocess.CompletedProcess[str]) -> None:
    summary = json.loads(told.stdout.splitlines()[-1])
    story = stage()
    known = known_alerts(story)
    totals = re.search(r"^ *all +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) *$", told.stdout, re.MULTILINE)

    assert {rule: number for rule, number in summary["alerts"].items() if rule in STORY} == Counter(
        alert.rule for alert in known
    )
    assert totals is not None
    assert [int(total) for total in totals.groups()] == [len(known), len(known), 0, 0, len(false_alarms(story))]


@pytest.mark.slow
def test_the_demo_is_plain_text_of_a_hundred_columns_when_nobody_watches(
    told: subprocess.CompletedProcess[str],
) -> None:
    *page, _summary = told.stdout.splitlines()

    assert "\x1b" not in told.stdout
    assert max(map(len, page)) <= 100
    assert all(word in told.stdout for word in ("/docs", "/metrics", "upt_", "Quarry", "Harbour", "emergency"))
