"""Prometheus and Alertmanager of Debian watch the whole product: every panel has data, alerts fire, arrive and end."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
import yaml

from services.embedded import fresh_directory
from tests.deploy import rollout
from tests.deploy.prometheus import ROOT, Prometheus
from tests.egress.receiver import Receiver
from tests.notifier.alertmanager import Alertmanager
from tests.patience import until, wait_until
from tests.stack import Stack

pytestmark = pytest.mark.debian

BOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
GUIDE = ROOT / "docs" / "guides" / "grafana.md"
CHOSEN = {"tenant": "acme", "wave": ".+", "dimension": "team", "key": ".+", "window": "7d"}


INSTRUMENTS = {
    "uptake_adoption_licensed": "tenant dimension key",
    "uptake_adoption_active": "tenant dimension key window",
    "uptake_adoption_logged_in": "tenant dimension key window",
    "uptake_adoption_rate_ratio": "tenant dimension key window",
    "uptake_wave_connected_ratio": "tenant wave n",
    "uptake_alerts_open": "tenant rule severity",
    "uptake_metric_unknown": "tenant metric reason",
    "uptake_ingest_requests_total": "source code",
    "uptake_ingest_events_total": "outcome",
    "uptake_ingest_publish_seconds_count": "",
    "uptake_ingest_spool_events": "",
    "uptake_aggregator_lag_records": "partition",
    "uptake_aggregator_events_total": "outcome",
    "uptake_aggregator_batch_seconds_count": "",
    "uptake_freshness_seconds_count": "",
    "uptake_evaluation_seconds_count": "",
    "uptake_deliveries_total": "kind outcome",
}
"""What others build on, by its labels: a name or a label changes only with a new version."""
OURS = {"__name__", "instance", "job"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    made = Stack(fresh_directory())
    made.start(**rollout.settings())
    yield made
    made.remove()


@pytest.fixture(scope="module")
async def receiver() -> Any:
    async with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def alertmanager(receiver: Receiver) -> Iterator[Alertmanager]:
    """Alertmanager as it is delivered, but at once, and with a receiver behind each name."""
    config = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text())
    _hurry(config["route"])
    for each in config["receivers"]:
        url = f"http://127.0.0.1:{receiver.port}/{each['name']}"
        each["webhook_configs"] = [{"url": url, "send_resolved": True}]
        if each["name"] == "operators":
            each["slack_configs"] = [{**slack_of_the_guide(), "api_url": f"http://127.0.0.1:{receiver.port}/slack"}]
    made = Alertmanager(yaml.safe_dump(config))
    made.start()
    yield made
    made.remove()


def slack_of_the_guide() -> dict[str, Any]:
    """Return how the guide lets Slack be told."""
    (block,) = re.findall(r"^```yaml\n(receivers:.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    ((receiver,),) = yaml.safe_load(block).values()
    (config,) = receiver["slack_configs"]
    return dict(config)


def _hurry(route: dict[str, Any]) -> None:
    route.update(group_wait="0s", group_interval="1s")
    for inner in route.get("routes", ()):
        _hurry(inner)


@pytest.fixture(scope="module")
def prometheus(stack: Stack, alertmanager: Alertmanager) -> Iterator[Prometheus]:
    places = {f"uptake-{name}": stack.ready[name] for name in ("ingest", "aggregator", "api")}
    places |= {"uptake-adoption": stack.ready["api"], "uptake-notifier": _notifier(stack)}
    targets = {job: url.removeprefix("http://") for job, url in places.items()}
    made = Prometheus(targets, alertmanager.url.removeprefix("http://"))
    made.start()
    yield made
    made.remove()


def _notifier(stack: Stack) -> str:
    """Return where the notifier answers: the ready line does not say it."""
    (process,) = (
        each for each in psutil.Process(stack.pid).children() if "services.notifier" in " ".join(each.cmdline())
    )
    (address,) = {each.laddr for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    return f"{address.ip}:{address.port}"


async def test_an_alert_on_our_health_reaches_who_is_on_duty_and_is_over_when_it_is_mended(
    stack: Stack, receiver: Receiver, prometheus: Prometheus
) -> None:
    name = "UptakeAdoptionNotScraped"

    assert (await told(receiver, "operators", name))["status"] == "firing"
    summary = b"Prometheus is not shown adoption"
    await until(lambda: came_to(receiver, "/slack", name.encode(), summary, b"runbooks.md#uptakeadoptionnotscraped"))
    prometheus.key.write_text(stack.ready["admin_key"])

    assert (await told(receiver, "operators", name, "resolved"))["status"] == "resolved"


def came_to(receiver: Receiver, path: str, *words: bytes) -> bool:
    """Tell whether something with all of these ``words`` came to ``path``."""
    return any(came.line.split()[1] == path and all(word in came.body for word in words) for came in receiver.came)


async def told(receiver: Receiver, name: str, alert: str, status: str = "firing") -> dict[str, Any]:
    """Wait until ``name`` was told of ``alert``; return what was said of it."""

    def said() -> dict[str, Any] | None:
        alerts = (
            dict(each)
            for came in receiver.came
            if came.line.split()[1] == f"/{name}"
            for each in json.loads(came.body)["alerts"]
        )
        return next((it for it in alerts if (it["labels"]["alertname"], it["status"]) == (alert, status)), None)

    found = await until(said)
    assert found is not None
    return found


async def test_emergencies_come_first_tenants_apart_and_nobody_is_accused_while_a_source_is_silent(
    receiver: Receiver, alertmanager: Alertmanager
) -> None:
    def labels(tenant: str, severity: str, **others: str) -> dict[str, Any]:
        rule = {"alertname": others.get("rule", ""), "tenant": tenant, "severity": severity, **others}
        return {"labels": {name: value for name, value in rule.items() if value}}

    silent = {"alertname": "UptakeSourceSilent", "part": "sources", "source": "crm"}
    emergency = labels("other", "emergency", rule="wave-connection-d3-emergency", subject="north")
    await burn(alertmanager, labels("quiet", "warning", **silent), emergency)
    await told(receiver, "operators", "UptakeSourceSilent")
    await told(receiver, "sponsor", "wave-connection-d3-emergency")
    await burn(
        alertmanager,
        labels("acme", "warning", rule="adoption-drop-vs-week1"),
        labels("quiet", "critical", rule="adoption-below-phase-target"),
        labels("other", "info", rule="wave-connection-d1-below-target", subject="south"),
        labels("other", "critical", rule="wave-connection-d5-below-target", subject="north"),
    )

    await told(receiver, "acme", "adoption-drop-vs-week1")
    await told(receiver, "everybody", "wave-connection-d1-below-target")
    inhibited = {"adoption-below-phase-target", "wave-connection-d5-below-target"}
    assert not any(rule.encode() in came.body for came in receiver.came for rule in inhibited)
    states = {each["labels"].get("rule"): each["status"]["state"] for each in alertmanager.alerts()}
    assert {states[rule] for rule in inhibited} == {"suppressed"}


async def burn(alertmanager: Alertmanager, *alerts: dict[str, Any]) -> None:
    """Let ``alerts`` burn there."""
    async with httpx.AsyncClient(base_url=alertmanager.url) as client:
        (await client.post("/api/v2/alerts", json=alerts)).raise_for_status()


async def test_every_panel_of_every_dashboard_shows_something(stack: Stack, prometheus: Prometheus) -> None:
    prometheus.key.write_text(stack.ready["admin_key"])
    await asyncio.to_thread(rollout.tell, stack)
    questions = {
        f"{board.stem}: {panel['title']}": filled(target["expr"])
        for board in BOARDS
        for panel in json.loads(board.read_text())["panels"]
        for target in panel["targets"]
    }
    for board in BOARDS:
        marks = json.loads(board.read_text()).get("annotations", {}).get("list", [])
        questions |= {f"{board.stem}: {mark['name']}": filled(mark["expr"]) for mark in marks}

    await answered(prometheus, questions)

    assert len(questions) > 40


def filled(expression: str) -> str:
    """Return ``expression`` as Grafana asks it for the group that is looked at."""
    return re.sub(r"\$(\w+)", lambda found: CHOSEN[found[1]], expression)


async def answered(prometheus: Prometheus, questions: dict[str, str]) -> None:
    """Wait until each of ``questions`` has an answer that is a number."""
    for asked in questions.values():
        await asyncio.to_thread(
            wait_until, lambda asked=asked: any(each["value"][1] != "NaN" for each in prometheus.ask(asked))
        )


async def test_every_instrument_that_others_build_on_is_there_with_its_labels(prometheus: Prometheus) -> None:
    found = {
        name: {" ".join(sorted(set(series) - OURS)) for series in prometheus.get("/api/v1/series", **{"match[]": name})}
        for name in INSTRUMENTS
    }

    assert found == {name: {" ".join(sorted(labels.split()))} for name, labels in INSTRUMENTS.items()}


async def test_every_variable_of_every_dashboard_offers_something(prometheus: Prometheus) -> None:
    for board in BOARDS:
        for variable in json.loads(board.read_text())["templating"]["list"]:
            if variable["type"] != "query":
                continue
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert asked is not None, variable["query"]
            matched = {"match[]": filled(asked[1])}
            assert prometheus.get(f"/api/v1/label/{asked[2]}/values", **matched), variable["query"]


async def test_every_rule_is_evaluated_without_a_mistake(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]

    assert len(rules) > 30
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}


async def test_a_group_too_small_to_be_told_of_and_people_are_nowhere(prometheus: Prometheus) -> None:
    labels = [set(series.items()) for series in prometheus.get("/api/v1/series", **{"match[]": '{tenant="acme"}'})]
    values = {value for series in labels for _, value in series}

    assert len({"North", "South", "West"} & values) == len(rollout.TEAMS) - 2  # one covers the small one
    assert "Tiny" not in values
    assert not [value for value in values if value.lower().startswith(("north-", "south-", "west-", "tiny-"))]


async def test_a_slow_event_can_be_found_from_its_exemplar(prometheus: Prometheus) -> None:
    window = {"start": time.time() - 3600, "end": time.time()}
    for histogram in ("uptake_freshness_seconds_bucket", "uptake_ingest_publish_seconds_bucket"):
        found = prometheus.get("/api/v1/query_exemplars", query=histogram, **window)
        marks = {one["labels"].get("event", "") for series in found for one in series["exemplars"]}

        assert marks, histogram
        assert all(re.fullmatch(r"[0-9a-f]{32}", mark) for mark in marks)
