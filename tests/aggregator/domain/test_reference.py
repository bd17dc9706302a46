"""The rules on real data, against an independent reference that knows nothing of them.

The data lie beside the repository, not in it. Where the rules differ from the reference on purpose, the test says how.
"""

import csv
import gzip
import json
import subprocess
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.aggregator.domain.findings import Finding, Subject
from services.aggregator.domain.rules.access import MIN_COHORT
from services.aggregator.domain.rules.change import LAST_WEEK, MIN_LICENSED
from services.aggregator.domain.waves import Wave, connections
from tests.aggregator.world import Member, World, at

SHARED = Path(__file__).parents[4] / "shared"
NAMES = ["maven_crm", "receipt_permits"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the reference data are not there (../shared/data)"),
]
Reference = dict[str, Any]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@cache
def reference(name: str) -> Reference:
    data = SHARED / "data" / name
    files = [data / "events.base.ndjson.gz", data / "users.csv", "--golive", data / "golive.csv"]
    options = ["--impl", "py", "--sections", "dplus,weekly,alerts,to"]
    run = subprocess.run(
        [sys.executable, SHARED / "tools" / "reference.py", *files, *options], capture_output=True, check=True
    )
    answer: Reference = json.loads(run.stdout)
    return answer


@cache
def world(name: str) -> World:
    data = SHARED / "data" / name
    came: dict[str, dict[date, datetime]] = defaultdict(dict)
    logins: dict[str, dict[date, datetime]] = defaultdict(dict)
    with gzip.open(data / "events.base.ndjson.gz", "rt", encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            instant, user = datetime.fromisoformat(event["time"]), event["data"]["user"]
            for kept in (came, logins) if event["type"] == "crm.session.login" else (came,):
                kept[user][instant.date()] = min(kept[user].get(instant.date(), instant), instant)
    return World(
        [_member(row) for row in rows(data / "users.csv")],
        [_wave(row) for row in rows(data / "golive.csv")],
        came=defaultdict(set, {user: set(days.values()) for user, days in came.items()}),
        logins=defaultdict(set, {user: set(days.values()) for user, days in logins.items()}),
    )


def _member(row: dict[str, str]) -> Member:
    first, last = (date.fromisoformat(row[name]) if row[name] else None for name in ("licensed_from", "licensed_to"))
    return Member(row["user"], row["team"] or None, row["role"] or None, row["manager"] or None, first, last)


def _wave(row: dict[str, str]) -> Wave:
    scope = {"tenant": {}, "team": {"teams": (row["group"],)}, "role": {"roles": (row["group"],)}}[row["dimension"]]
    return Wave(f"{row['dimension']}/{row['group']}", row["group"], date.fromisoformat(row["go_live"]), **scope)


@cache
def findings(name: str) -> list[Finding]:
    return world(name).judge(at(date.fromisoformat(reference(name)["to"]) + timedelta(days=1), 2))


def found(name: str, rule: str) -> dict[str, list[Finding]]:
    by_wave: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings(name):
        if finding.rule == rule:
            by_wave[finding.wave].append(finding)
    return by_wave


def wave_of(row: Reference) -> str:
    return f"{row['dimension']}/{row['group']}"


@pytest.mark.parametrize("name", NAMES)
def test_connection_equals_the_reference(name: str) -> None:
    waves = {wave.id: world(name).rollout(wave) for wave in world(name).waves}

    for row in reference(name)["dplus"]:
        counted = {c.n: c for c in connections(waves[wave_of(row)], world(name).calendar, None)}
        assert {n: counted[n].num for n in (0, 1, 2, 3, 5, 7, 14)} == {n: row[f"d{n}"] for n in (0, 1, 2, 3, 5, 7, 14)}
        assert counted[3].missing == row["missing_d3"]
        assert counted[3].den == row["cohort"]


@pytest.mark.parametrize("name", NAMES)
def test_who_never_logged_in_by_d3_is_who_the_reference_misses(name: str) -> None:
    critical = found(name, "user-never-logged-in-d3")

    missed = {wave_of(row): row["missing_d3"] for row in reference(name)["dplus"] if row["missing_d3"]}
    assert {wave: sorted(finding.subject.key for finding in entries) for wave, entries in critical.items()} == missed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rule", "key", "smallest"),
    [
        pytest.param("wave-connection-d1-below-target", "d1_below_80", MIN_COHORT, id="D+1"),
        pytest.param("wave-connection-d3-emergency", "d3_below_70", 5, id="D+3, from five people on"),
        pytest.param("wave-connection-d5-below-target", "d5_below_90", MIN_COHORT, id="D+5"),
    ],
)
def test_missed_checkpoints_equal_the_reference_in_waves_large_enough(
    name: str, rule: str, key: str, smallest: int
) -> None:
    missed = {wave_of(row): (row["logged_in"], row["cohort"]) for row in reference(name)["alerts"][key]}

    assert {
        wave: (finding.evidence["num"], finding.evidence["den"]) for wave, [finding] in found(name, rule).items()
    } == {wave: counts for wave, counts in missed.items() if counts[1] >= smallest}


@pytest.mark.parametrize("name", NAMES)
def test_weeks_with_a_drop_equal_the_reference(name: str) -> None:
    """The reference knows no smallest group and no end of the phase."""
    told = {Subject(row["dimension"], row["group"]): [] for row in reference(name)["weekly"]}
    base: dict[Subject, int] = {}
    for row in reference(name)["weekly"]:
        subject = Subject(row["dimension"], row["group"])
        base.setdefault(subject, row["licensed"])
        enough = min(base[subject], row["licensed"]) >= MIN_LICENSED
        if enough and row["week"] <= LAST_WEEK and row.get("drop10_vs_week1"):
            told[subject].append(row["week"])

    now = at(date.fromisoformat(reference(name)["to"]) + timedelta(days=1), 2)
    histories = [world(name).history(watched, now) for watched in world(name).watched()]
    assert {history.watched.subject: sorted(history.people) for history in histories} == told


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_of_a_drop_begins_in_a_week_with_a_drop_and_not_before_the_first(name: str) -> None:
    """The guards (two weeks in a row, the same people) only ever delay or silence what the reference tells at once."""
    told = {wave_of(row): row["weeks"] for row in reference(name)["alerts"]["drop_10_vs_week1"]}

    for wave, entries in found(name, "adoption-drop-vs-week1").items():
        for finding in entries:
            opened = ((finding.start - world_go_live(name, wave)).days + 1) // 7
            assert opened in told[wave]
            assert finding.window["week"] in told[wave]
            if finding.tier == "suspected":
                assert opened - 1 in told[wave]


def world_go_live(name: str, wave: str) -> date:
    return next(each.go_live for each in world(name).waves if each.id == wave)
