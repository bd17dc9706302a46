"""The laws of ARCHITECTURE.md that no linter enforces, and the proof that the import contracts can fail."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = sorted(
    path for room in ("services", "schemas") for path in (ROOT / room).rglob("*.py") if "versions" not in path.parts
)
LONGEST_FILE = 300
LONGEST_FUNCTION = 60

VIOLATIONS = {
    "Services meet only through schemas, Kafka and Postgres": ("services/ingest/app.py", "import services.api.app"),
    "Inside the aggregator calls go down only": (
        "services/aggregator/store/facts.py",
        "import services.aggregator.consumer",
    ),
    "Pure modules do no I/O and read no clock": ("schemas/topics.py", "import socket"),
    "Only services.kafka speaks aiokafka": ("services/ingest/app.py", "import aiokafka"),
    "Only services.postgres speaks asyncpg": ("services/api/app.py", "import asyncpg"),
    "Schemas know no service": ("schemas/topics.py", "import services.settings"),
    "Nothing but the command knows the embedded engines": ("services/kafka/reader.py", "import services.embedded"),
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_a_file_says_what_it_is_for_and_stays_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {it.name: n for it in functions if (n := (it.end_lineno or 0) - it.lineno + 1) > LONGEST_FUNCTION}

    assert ast.get_docstring(tree), "no docstring"
    assert len(text.splitlines()) <= LONGEST_FILE
    assert not long


def test_the_environment_is_read_in_one_place() -> None:
    readers = [_name(path) for path in PRODUCT if re.search(r"\bos\.(environ|getenv)\b", path.read_text())]

    assert readers == ["services/settings.py"]


@pytest.mark.parametrize(
    ("driver", "room"), [("aiokafka", "services/kafka"), ("asyncpg", "services/postgres")], ids=["Kafka", "Postgres"]
)
def test_a_driver_is_imported_in_one_place(driver: str, room: str) -> None:
    speakers = [
        _name(path) for path in PRODUCT if re.search(rf"^\s*(import|from) {driver}\b", path.read_text(), re.MULTILINE)
    ]

    assert speakers
    assert all(name.startswith(room) for name in speakers)


def test_no_product_file_speaks_of_work_to_be_done() -> None:
    unfinished = [_name(path) for path in PRODUCT if re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text())]

    assert not unfinished


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The contracts that ``lint-imports`` reports as broken once each has been violated on purpose."""
    copy = tmp_path_factory.mktemp("broken")
    for room in ("services", "schemas"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for file, statement in VIOLATIONS.values():
        with (copy / file).open("a") as target:
            target.write(f"\n{statement}\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=copy, env={"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False)
    return set(re.findall(r"^(.+?) BROKEN", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    "contract",
    [it["name"] for it in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]],
)
def test_each_import_contract_is_seen_to_fail_when_it_is_violated(broken: set[str], contract: str) -> None:
    assert contract in VIOLATIONS, "a new contract needs a violation here"
    assert contract in broken
