"""The Helm chart, read as it was rendered for each example: by Kubernetes' own schemas, and for what it promises.

Where Helm is installed, or was made by ``make chart``, it also renders anew.
"""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from deploy.helm import chart
from schemas.topics import EVENTS, GROUP
from services.aggregator import __main__ as aggregator
from services.api import __main__ as api
from services.ingest import __main__ as ingest
from services.notifier import __main__ as notifier
from services.settings import Settings
from tests.deploy.prometheus import RULES

ROOT = Path(__file__).parents[2]
KUBERNETES = json.loads(Path(__file__).with_name("kubernetes-1.34.json").read_text())
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}
"""What operators add to Kubernetes."""
EXAMPLES = [path.stem for path in chart.EXAMPLES]
SERVICES = {"ingest": 8081, "api": 8080, "aggregator": 8082, "notifier": 8079}

Thing = dict[str, Any]


def rendered(example: str) -> list[Thing]:
    text = (chart.RENDERED / f"{example}.yaml").read_text()
    return [thing for thing in yaml.load_all(text, yaml.CSafeLoader) if thing]


@pytest.fixture(scope="module", params=EXAMPLES)
def things(request: pytest.FixtureRequest) -> list[Thing]:
    """What is installed with an example."""
    return rendered(request.param)


@pytest.fixture(scope="module")
def large() -> list[Thing]:
    return rendered("large")


def of_kind(things: list[Thing], *kinds: str) -> dict[str, Thing]:
    return {thing["metadata"]["name"]: thing for thing in things if thing["kind"] in kinds}


def pods(things: list[Thing]) -> dict[str, Thing]:
    """The pods by what they are for."""
    found = of_kind(things, "Deployment", "StatefulSet", "Job").values()
    return {each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: _pod(each) for each in found}


def _pod(thing: Thing) -> Thing:
    pod: Thing = thing["spec"]["template"]
    return pod


def containers(things: list[Thing]) -> Iterator[tuple[str, Thing]]:
    for component, pod in pods(things).items():
        for each in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            yield component, each


def variables(container: Thing) -> dict[str, Thing]:
    return {each["name"]: each for each in container["env"]}


# ---------------------------------------------------------------- what Kubernetes takes


@pytest.mark.parametrize("example", chart.EXAMPLES, ids=EXAMPLES)
def test_what_was_rendered_is_of_this_chart(example: Path) -> None:
    first = (chart.RENDERED / example.name).read_text().partition("\n")[0]

    assert first == f"# {chart.mark(example)}", "the chart was changed: make chart"


def test_kubernetes_knows_every_field(things: list[Thing]) -> None:
    for thing in things:
        if thing["kind"] in FOREIGN:
            continue
        schema = {"$ref": KUBERNETES["kinds"][thing["kind"]], "$defs": KUBERNETES["$defs"]}
        errors = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(thing)]
        assert not errors, (thing["kind"], thing["metadata"]["name"], errors)


def test_whatever_is_referred_to_is_there(things: list[Thing]) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(things).values()]
    selectors = [
        thing["spec"]["podSelector" if thing["kind"] == "NetworkPolicy" else "selector"]
        for thing in of_kind(things, "NetworkPolicy", "PodDisruptionBudget", "PodMonitor").values()
    ]
    selectors += [{"matchLabels": thing["spec"]["selector"]} for thing in of_kind(things, "Service").values()]

    for selector in selectors:
        assert any(_selects(selector, each) for each in labels), selector
    for thing in of_kind(things, "HorizontalPodAutoscaler").values():
        target = thing["spec"]["scaleTargetRef"]
        assert target["name"] in of_kind(things, target["kind"])
    for thing in of_kind(things, "ScaledObject").values():
        assert thing["spec"]["scaleTargetRef"]["name"] in of_kind(things, "Deployment")
    for thing in of_kind(things, "Ingress").values():
        [path] = thing["spec"]["rules"][0]["http"]["paths"]
        assert path["backend"]["service"]["name"] in of_kind(things, "Service")
    for pod in pods(things).values():
        account = pod["spec"].get("serviceAccountName", "default")
        assert account in {"default", *of_kind(things, "ServiceAccount")}


def _selects(selector: Thing, labels: dict[str, str]) -> bool:
    """Tell whether a pod with ``labels`` is meant."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    among = all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", []))
    return wanted and among


# ---------------------------------------------------------------- what runs


def test_the_processes_are_those_of_the_compose_file(things: list[Thing]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = {tuple(each["command"]) for each in compose.values() if each["image"] == compose["api"]["image"]}

    assert {tuple(each["args"]) for _, each in containers(things)} == ours


def test_every_variable_is_a_setting(things: list[Thing]) -> None:
    known = {f"UPTAKE_{name.upper()}" for name in Settings.__dataclass_fields__}

    for component, container in containers(things):
        assert set(variables(container)) <= known, component


def test_ports_and_probes_are_those_of_the_processes(things: list[Thing]) -> None:
    settings = Settings()
    assert {name: getattr(settings, f"{name}_port") for name in SERVICES} == SERVICES
    for name, port in SERVICES.items():
        [container] = pods(things)[name]["spec"]["containers"]
        assert [each["containerPort"] for each in container["ports"]] == [port]
        paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
        assert paths["liveness"] == "/healthz"
        assert set(paths.values()) == {"/healthz", "/readyz"}


def test_ingest_stays_in_its_service_while_kafka_is_away(things: list[Thing]) -> None:
    [container] = pods(things)["ingest"]["spec"]["containers"]

    assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"


def test_nobody_is_killed_before_it_has_ended_by_itself(things: list[Thing]) -> None:
    drain = {
        name: float(variables(pods(things)[name]["spec"]["containers"][0])["UPTAKE_DRAIN_SECONDS"]["value"])
        for name in SERVICES
    }
    longest = {
        "ingest": drain["ingest"] + ingest._ANSWER_SECONDS + ingest._SPOOL_SECONDS + 2 * Settings().publish_seconds,  # noqa: SLF001
        "api": drain["api"] + api.ANSWER_SECONDS + 3,
        "aggregator": aggregator.STOP_SECONDS + 3 + 2 + 3 + 3,
        "notifier": notifier.STOP_SECONDS + 3 + 3,
    }

    for name, seconds in longest.items():
        assert pods(things)[name]["spec"]["terminationGracePeriodSeconds"] > seconds, name


def test_a_service_of_kubernetes_sets_no_setting(things: list[Thing]) -> None:
    assert "UPTAKE_API_PORT" in {
        f"{name.upper().replace('-', '_')}_PORT" for name in of_kind(rendered("small"), "Service")
    }
    for pod in pods(things).values():
        assert pod["spec"]["enableServiceLinks"] is False


def test_no_container_has_a_right_that_it_does_not_need(things: list[Thing]) -> None:
    user = re.search(r"^USER (\d+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    for pod in pods(things).values():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": int(user[1]),
            "runAsGroup": int(user[1]),
            "fsGroup": int(user[1]),
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    for component, container in containers(things):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"], component


def test_secrets_are_only_referred_to_and_only_where_they_are_needed(large: list[Thing]) -> None:
    found: dict[str, set[str]] = {}
    for component, container in containers(large):
        for name, variable in variables(container).items():
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["name"] == "uptake"
                assert reference["optional"] == (name != "UPTAKE_DATABASE")
                found.setdefault(name, set()).add(component)

    everybody = {*SERVICES, "migrate"}
    assert found == {
        "UPTAKE_DATABASE": everybody,
        "UPTAKE_KAFKA_PASSWORD": everybody,
        "UPTAKE_ADMIN_KEY": {"api"},
        "UPTAKE_SEAL_KEY": {"ingest", "api", "notifier"},
        "UPTAKE_SMTP_PASSWORD": {"notifier"},
    }
    assert not of_kind(large, "Secret")


def test_settings_reach_every_process_as_they_were_written(large: list[Thing]) -> None:
    for _, container in containers(large):
        told = {name: variable.get("value") for name, variable in variables(container).items()}
        assert told["UPTAKE_BATCH_RECORDS"] == "20000"
        assert told["UPTAKE_PARTITIONS"] == "48"
        assert told["UPTAKE_KAFKA_SECURITY"] == "sasl_ssl"


def test_the_schema_and_the_topics_are_made_before_anything_else(things: list[Thing]) -> None:
    [job] = of_kind(things, "Job").values()

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    [first], [then] = _pod(job)["spec"]["initContainers"], _pod(job)["spec"]["containers"]
    assert (first["args"], then["args"]) == (["migrate"], ["topics"])
    assert "serviceAccountName" not in _pod(job)["spec"]


def test_what_ingest_keeps_outlives_its_pod(large: list[Thing]) -> None:
    [ingest_set] = of_kind(large, "StatefulSet").values()

    [claim] = ingest_set["spec"]["volumeClaimTemplates"]
    [container] = _pod(ingest_set)["spec"]["containers"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/var/lib/uptake"} in container["volumeMounts"]
    assert ingest_set["spec"]["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }


def test_aggregators_are_as_many_as_the_lag_of_their_group_asks_for(large: list[Thing]) -> None:
    [scaled] = of_kind(large, "ScaledObject").values()

    [trigger] = scaled["spec"]["triggers"]
    assert (trigger["metadata"]["topic"], trigger["metadata"]["consumerGroup"]) == (EVENTS, GROUP)
    assert trigger["metadata"]["lagThreshold"] == "50000"
    assert scaled["spec"]["maxReplicaCount"] <= 48
    fixed = {name for name, thing in of_kind(large, "Deployment", "StatefulSet").items() if "replicas" in thing["spec"]}
    assert fixed == {"uptake-notifier"}


# ---------------------------------------------------------------- who watches it


def test_the_rules_are_those_that_are_tested_and_there_is_no_copy_of_them(large: list[Thing]) -> None:
    files = sorted(RULES.glob("*.rules.yml"))
    linked = {path.name: path.resolve() for path in (chart.CHART / "rules").iterdir()}
    guides = "https://docs.example.com/uptake/"

    assert linked == {path.name: path for path in files}
    assert all((chart.CHART / "rules" / name).is_symlink() for name in linked)
    rendered_rules = of_kind(large, "PrometheusRule")
    assert {name: thing["spec"] for name, thing in rendered_rules.items()} == {
        f"uptake-rules-{path.name.partition('.')[0]}": yaml.safe_load(path.read_text().replace("docs/guides/", guides))
        for path in files
    }
    assert all(thing["metadata"]["labels"]["release"] == "prometheus" for thing in rendered_rules.values())
    assert not of_kind(rendered("small"), "PrometheusRule", "PodMonitor")


# ---------------------------------------------------------------- who may talk to whom


def allowed(things: list[Thing], component: str, way: str) -> list[Thing]:
    """The rules that hold for the pods of ``component``."""
    labels = pods(things)[component]["metadata"]["labels"]
    return [
        rule
        for policy in of_kind(things, "NetworkPolicy").values()
        if _selects(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get(way, [])
    ]


def _ports(rules: list[Thing]) -> set[int]:
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


def test_all_traffic_is_denied_that_is_not_named(large: list[Thing]) -> None:
    deny = of_kind(large, "NetworkPolicy")["uptake-deny"]

    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert all(_selects(deny["spec"]["podSelector"], pod["metadata"]["labels"]) for pod in pods(large).values())
    assert {name: _ports(allowed(large, name, "ingress")) for name in pods(large)} == {
        **{name: {port} for name, port in SERVICES.items()},
        "migrate": set(),
    }
    dns, engines, traces = {53}, {9093, 5432}, {4318}
    assert {name: _ports(allowed(large, name, "egress")) for name in pods(large)} == {
        "ingest": dns | engines | traces,
        "aggregator": dns | engines | traces,
        "notifier": dns | engines | traces,
        "migrate": dns | engines | traces,
        "api": dns | traces | {5432},
    }


def test_only_the_notifier_leaves_the_cluster_and_into_no_private_network_but_those_it_may(large: list[Thing]) -> None:
    for name in pods(large):
        blocks = [
            peer["ipBlock"]
            for rule in allowed(large, name, "egress")
            for peer in rule.get("to", [])
            if "ipBlock" in peer
        ]
        if name != "notifier":
            assert not blocks
            continue
        assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "2000::/3", "10.20.0.0/16"]
        assert {"10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(
            blocks[0]["except"]
        )


# ---------------------------------------------------------------- what may be said

WRONG = [
    pytest.param({"kafka": {"bootstrapServers": ""}}, id="no Kafka"),
    pytest.param({"existingSecret": ""}, id="no Secret"),
    pytest.param({"settings": {"database": "postgresql://uptake:secret@db/uptake"}}, id="a secret among the settings"),
    pytest.param({"settings": {"UPTAKE_LINKS_URL": "x"}}, id="a setting by its variable"),
    pytest.param({"aggregator": {"autoscaling": {"mode": "cpu"}}}, id="an unknown way of scaling"),
    pytest.param({"ingest": {"replicas": 0}}, id="no process"),
    pytest.param({"api": {"ingress": {"enabled": True, "host": ""}}}, id="an ingress without a host"),
    pytest.param({"settings": {"share_ports": "yes"}}, id="a port to share, where each has its address"),
    pytest.param({"monitoring": {"rules": {"guides": "https://docs.example.com"}}}, id="an address without its end"),
    pytest.param({"replicaCount": 3}, id="a value that does not exist"),
]


@pytest.fixture(scope="module")
def schema() -> Draft7Validator:
    """What values may be."""
    return Draft7Validator(json.loads((chart.CHART / "values.schema.json").read_text()))


@functools.cache
def _least() -> Thing:
    """The values of the chart with the least that must be said."""
    least = chart.HERE / "examples" / "small.yaml"
    values, said = (yaml.load(path.read_text(), yaml.CSafeLoader) for path in (chart.CHART / "values.yaml", least))
    return _merged(values, said)


def _merged(under: Thing, over: Thing) -> Thing:
    both = {name: _merged(under[name], over[name]) for name in under.keys() & over.keys() if _maps(under, over, name)}
    return under | over | both


def _maps(under: Thing, over: Thing, name: str) -> bool:
    return isinstance(under[name], dict) and isinstance(over[name], dict)


@pytest.mark.parametrize("more", WRONG)
def test_values_that_cannot_work_are_refused(schema: Draft7Validator, more: Thing) -> None:
    assert not list(schema.iter_errors(_least()))
    assert list(schema.iter_errors(_merged(_least(), more)))


@pytest.mark.skipif(chart.helm() is None, reason="Helm is not installed: make chart makes it")
def test_helm_renders_what_is_kept() -> None:
    program = chart.helm()
    assert program is not None
    for example in chart.EXAMPLES:
        assert chart.rendered(program, example) == (chart.RENDERED / example.name).read_text()
    with pytest.raises(chart.ChartError, match="bootstrapServers"):
        chart.run(program, "template", "uptake", chart.CHART, *chart.KUBERNETES)


# ---------------------------------------------------------------- what the guide says

GUIDE = (ROOT / "docs" / "guides" / "kubernetes.md").read_text()
INSTALL = "helm upgrade --install uptake deploy/helm/uptake --namespace adoption "


def _given(command: str) -> Thing:
    """The values of ``--set`` in a command."""
    found: Thing = {}
    for path, value in re.findall(r"--set ([\w.]+)=(\S+)", command):
        more: Any = value
        for name in reversed(path.split(".")):
            more = {name: more}
        found = _merged(found, more)
    return found


def test_the_values_of_the_guide_are_accepted(schema: Draft7Validator) -> None:
    [install] = [text for text in GUIDE.replace("\\\n", "").split("\n") if text.startswith(INSTALL)]
    snippets = [_given(install), *map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL))]

    assert len(snippets) > 2
    for snippet in snippets:
        assert not list(schema.iter_errors(_merged(_least(), snippet))), snippet
    assert set(_given(install)) == {"image", "kafka", "existingSecret"}


def test_whatever_value_the_guide_names_is_there() -> None:
    values = _least()
    for path in re.findall(r"`((?:[a-z]\w*\.)+\w+)`", GUIDE):
        top, *rest = path.split(".")
        if top in {"values", "deploy"} or top not in values:
            continue
        at: Any = values[top]
        for name in rest:
            if top == "settings":
                assert name in Settings.__dataclass_fields__, path
                break
            assert name in at, path
            at = at[name]
