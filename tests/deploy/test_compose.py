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


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """The file with ``${NAME:-default}`` replaced by its default."""
    text = re.sub(r"\$\{\w+:-(\w*)\}", r"\1", FILE.read_text())
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_it_holds_the_engines_the_preparations_and_the_services(stack: dict[str, Any]) -> None:
    assert set(stack["services"]) == OURS | {"kafka", "postgres"}
    assert {name: stack["services"][name]["command"] for name in OURS} == {name: [name] for name in OURS}


def test_everything_that_is_referred_to_exists(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        assert set(service.get("depends_on", {})) <= set(stack["services"]), name
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(stack["volumes"]), name
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
    }


def test_every_variable_is_a_setting(stack: dict[str, Any]) -> None:
    known = {f"UPTAKE_{name.upper()}" for name in Settings.__dataclass_fields__} | {"PROBE_PORT"}

    assert all(set(stack["services"][name]["environment"]) <= known for name in OURS)


def test_our_containers_have_no_rights_they_do_not_need(stack: dict[str, Any]) -> None:
    for name in OURS:
        service = stack["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    assert re.search(r"^USER \d+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)


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
