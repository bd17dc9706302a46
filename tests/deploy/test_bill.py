"""The bill of materials is one that CycloneDX knows, and holds what the lock file of the image pins and no more."""

import json
import re
import tomllib
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from referencing import Registry

from deploy import bill

PINNED = re.compile(r"^([a-z0-9._-]+)(?:\[.*?])?==([^ ]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    project = tomllib.loads((bill.ROOT / "pyproject.toml").read_text())["project"]
    return bill.bill(bill.LOCK.read_text(), project)


def test_it_is_as_cyclonedx_describes_bills(made: dict[str, Any]) -> None:
    schemas = {
        path.name: json.loads(path.read_text())
        for path in files("cyclonedx.schema._res").iterdir()
        if path.name in ("bom-1.6.SNAPSHOT.schema.json", "spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    }
    registry = Registry().with_contents(
        [(f"http://cyclonedx.org/schema/{name}", schema) for name, schema in schemas.items()]
    )
    validator = jsonschema.Draft7Validator(schemas["bom-1.6.SNAPSHOT.schema.json"], registry=registry)
    broken = {**made, "components": [{"type": "library"}]}

    assert [error.message for error in validator.iter_errors(made)] == []
    assert [error.message for error in validator.iter_errors(broken)] == ["'name' is a required property"]


def test_it_holds_what_the_lock_pins_with_a_hash_of_every_file(made: dict[str, Any]) -> None:
    lock = bill.LOCK.read_text()
    hashes = [it for one in made["components"] for it in one["externalReferences"][0]["hashes"]]

    assert {(one["name"], one["version"]) for one in made["components"]} == set(PINNED.findall(lock))
    assert len(hashes) == lock.count("--hash=sha256:")


def test_it_tells_who_wants_what(made: dict[str, Any]) -> None:
    names = {one["bom-ref"]: one["name"] for one in made["components"]}
    wants = {one["ref"]: {names[part] for part in one["dependsOn"]} for one in made["dependencies"]}
    (root,) = wants.keys() - names.keys()
    (fastapi,) = (ref for ref, name in names.items() if name == "fastapi")

    assert {"aiokafka", "asyncpg", "fastapi"} <= wants[root]
    assert "starlette" in wants[fastapi]
    assert set().union(*wants.values()) == set(names.values())
