"""The rules of Prometheus about our own health: right by promtool, each tried out, each with its runbook."""

import re
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus import DELIVERED, ROOT, RULES, promtool

RUNBOOKS = ROOT / "docs" / "guides" / "runbooks.md"


def alerts() -> list[dict[str, Any]]:
    groups = [group for file in RULES.glob("*.rules.yml") for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.debian
def test_every_alert_fires_and_ends_as_it_is_written_down() -> None:
    tried = promtool("test", "rules", "health.test.yml")

    assert tried.returncode == 0, tried.stdout + tried.stderr


@pytest.mark.debian
def test_prometheus_takes_the_configuration() -> None:
    checked = promtool("check", "config", "--syntax-only", "prometheus.yml", cwd=DELIVERED)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_alert_is_left_untried() -> None:
    tried = [
        test["name"].partition(":")[0] for test in yaml.safe_load((RULES / "health.test.yml").read_text())["tests"]
    ]

    assert sorted(tried) == sorted(alert["alert"] for alert in alerts())


def test_every_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["labels"]["part"]
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["runbook_url"] == f"docs/guides/runbooks.md#{alert['alert'].lower()}"


def test_every_alert_has_a_runbook_and_every_runbook_its_five_answers() -> None:
    sections = dict(re.findall(r"^## (Uptake\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL))

    assert set(sections) == {alert["alert"] for alert in alerts()}
    for name, text in sections.items():
        answers = re.findall(r"^\*\*(What it means|What people notice|Look|Mend|Over)\.\*\*", text, re.MULTILINE)
        assert answers == ["What it means", "What people notice", "Look", "Mend", "Over"], name
