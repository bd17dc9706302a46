"""The production-like stack, read as Docker Compose reads it: anchors resolved, every reference known."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
OURS = {"migrate", "topics", "ingest", "aggregator", "api", "notifier"}
WATCH = {"prometheus", "alertmanager", "grafana"}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """The file with ``${NAME:-default}`` replaced by its default, the innermost first."""
    text, replaced = FILE.read_text(), 1
    while replaced:
        text, replaced = re.subn(r"\$\{\w+:-(\w*)\}", r"\1", text)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_it_holds_the_engines_the_preparations_the_services_and_what_watches_them(stack: dict[str, Any]) -> None:
    assert set(stack["services"]) == OURS | WATCH | {"kafka", "postgres"}
    assert {name: stack["services"][name]["command"] for name in OURS} == {name: [name] for name in OURS}


def test_everything_that_is_referred_to_exists(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        assert set(service.get("depends_on", {})) <= set(stack["services"]), name
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        paths = {path for path in named if path.startswith("./")}
        assert all((ROOT / path).is_dir() for path in paths), name
        assert named - paths <= set(stack["volumes"]), name
    build = stack["services"]["api"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()


def test_services_start_after_the_preparations_and_those_after_the_engines(stack: dict[str, Any]) -> None:
    conditions = {
        (name, on): how["condition"]
        for name, service in stack["services"].items()
        for on, how in service.get("depends_on", {}).items()
    }

    assert conditions == {
        ("migrate", "postgres"): "service_healthy",
        ("topics", "kafka"): "service_healthy",
        ("topics", "migrate"): "service_completed_successfully",
        ("ingest", "topics"): "service_completed_successfully",
        ("aggregator", "topics"): "service_completed_successfully",
        ("api", "topics"): "service_completed_successfully",
        ("notifier", "topics"): "service_completed_successfully",
        ("grafana", "prometheus"): "service_healthy",
    }


def test_every_variable_is_a_setting(stack: dict[str, Any]) -> None:
    known = {f"UPTAKE_{name.upper()}" for name in Settings.__dataclass_fields__} | {"PROBE_PORT"}

    assert all(set(stack["services"][name]["environment"]) <= known for name in OURS)


def test_no_container_has_rights_it_does_not_need(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name  # noqa: S108 - of the container
        assert service["mem_limit"], name
        assert name in OURS or service["user"].partition(":")[0] not in ("", "root", "0"), name
    assert re.search(r"^USER \d+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)


def test_every_container_that_stays_says_whether_it_is_well(stack: dict[str, Any]) -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text()

    assert "HEALTHCHECK" in image
    assert all("test" in stack["services"][name]["healthcheck"] for name in set(stack["services"]) - OURS)


def test_every_image_that_is_not_ours_is_of_one_version(stack: dict[str, Any]) -> None:
    for name in set(stack["services"]) - OURS:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(@sha256:[0-9a-f]{64})?", stack["services"][name]["image"]), (
            name
        )


def test_prometheus_finds_every_service_where_it_runs(stack: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    scraped = {
        (place["names"][0], str(place["port"])) for job in config["scrape_configs"] for place in job["dns_sd_configs"]
    }

    assert scraped == {
        (name, stack["services"][name]["environment"]["PROBE_PORT"]) for name in OURS - {"migrate", "topics"}
    }
    written = {job["authorization"]["credentials_file"] for job in config["scrape_configs"] if "authorization" in job}
    assert all(path in stack["services"]["prometheus"]["entrypoint"][2] for path in written)


def _compose() -> list[str]:
    docker, old = shutil.which("docker"), shutil.which("docker-compose")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return [docker, "compose"]
    return [old] if old else []


def test_docker_compose_accepts_it() -> None:
    if not (compose := _compose()):
        pytest.skip("Docker Compose is not installed: the file was only read as YAML")

    done = subprocess.run([*compose, "-f", str(FILE), "config", "--quiet"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
