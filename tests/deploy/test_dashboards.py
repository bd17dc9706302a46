"""The dashboards as they are checked in: written by their code, and readable by somebody who has never seen them."""

import json
import re
from typing import Any

import pytest
import yaml

from deploy.grafana.written import HERE, written
from services.api.gauges.families import FAMILIES
from tests.deploy.prometheus import ROOT, RULES

BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted(HERE.glob("*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]


def test_what_is_checked_in_is_what_the_code_writes() -> None:
    assert {file.name: file.read_text() for file in HERE.glob("*.json")} == written(), "make dashboards"


def test_there_is_one_for_the_go_live_the_adoption_the_data_and_the_pipeline() -> None:
    assert set(BOARDS) == {"go-live", "adoption", "data-quality", "pipeline"}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {panel['title']}" for name, panel in PANELS])
def test_a_panel_speaks_in_sentences_has_a_unit_and_asks_the_source_that_was_chosen(
    name: str, panel: dict[str, Any]
) -> None:
    defaults = panel["fieldConfig"]["defaults"]

    assert len(panel["title"].split()) >= 3
    assert panel["title"][0].isupper()
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all('tenant="$tenant"' in target["expr"] for target in panel["targets"] if name != "pipeline")


def test_every_link_leads_to_the_api_or_to_a_guide_that_is_there() -> None:
    links = {link["url"] for _, panel in PANELS for link in panel.get("links", [])}

    assert any(url.startswith("${api}/v1/alerts") for url in links)
    for url in links - {url for url in links if url.startswith("${api}/")}:
        assert (ROOT / "docs" / "guides" / url.removeprefix("${guides}/")).is_file(), url


def test_nothing_of_a_dashboard_is_of_one_installation() -> None:
    assert not re.search(r'"uid": "(?!\$\{datasource\}|uptake-)', json.dumps(BOARDS))
    assert not any(board.get("id") for board in BOARDS.values())


def test_every_family_that_tells_of_adoption_is_on_a_dashboard_or_in_a_rule() -> None:
    rules = " ".join(file.read_text() for file in RULES.glob("*.rules.yml"))
    shown = json.dumps(BOARDS) + rules

    assert [name for name in FAMILIES if name not in shown] == ["uptake_adoption_truncated"]


def test_what_grafana_is_given_at_its_start_is_the_source_and_these_dashboards() -> None:
    given = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((given / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((given / "dashboards" / "uptake.yml").read_text())["providers"]
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]

    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in volumes
