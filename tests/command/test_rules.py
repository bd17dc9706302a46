"""``uptake rules lint``: a pack is looked at before anybody relies on it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import program
from services.rules.pack import SPECS

PACKS = Path(__file__).parents[2] / "schemas/rules"


def lint(file: Path) -> tuple[int, str]:
    done = CliRunner().invoke(program("rules"), ["rules", "lint", str(file)])
    return done.exit_code, done.output


@pytest.mark.parametrize("name", ["adoption", "operations"])
def test_a_pack_of_the_product_has_nothing_wrong(name: str) -> None:
    code, said = lint(PACKS / f"{name}.yaml")

    assert (code, said.startswith("nothing wrong")) == (0, True)


def test_a_pack_may_name_rules_of_the_product(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    spec = {**SPECS["team-lagging"], "id": "team-far-behind", "family": "team-far-behind"}
    file.write_text(json.dumps({"pack": "own", "rules": [{**spec, "inhibited_by": ["team-lagging"]}]}))

    assert lint(file) == (0, "nothing wrong in 1 rules\n")


def test_each_place_that_is_wrong_is_a_line_with_its_rule(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"pack": "own", "rules": [{**SPECS["team-lagging"], "minimum": 4, "params": {}}]}))

    code, said = lint(file)

    assert code == 1
    assert said.splitlines() == [
        f"/rules/0/params/{name} (team-lagging): is missing" for name in ("metric", "points", "windows", "closes_under")
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"pack: a\npack: b", "/: line 2, column 1: this name stands here twice\n"),
        (b"\xff", "/: is no text in UTF-8\n"),
        (b"", "/rules: must be a list of rules\n"),
    ],
    ids=["a name twice", "no text", "nothing"],
)
def test_what_is_no_pack_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_bytes(content)

    assert lint(file) == (1, said)
