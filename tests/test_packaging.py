import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from services import migrate

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this directory."""
    made = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(made.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(archive: Path) -> list[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


def test_the_wheel_holds_the_product_and_nothing_else(wheel: list[str]) -> None:
    assert {name.partition("/")[0] for name in wheel} == {"services", "schemas", "crm_uptake-0.1.0.dist-info"}


def test_the_wheel_holds_every_module_and_the_migrations(wheel: list[str]) -> None:
    modules = [str(path.relative_to(ROOT)) for room in ("services", "schemas") for path in (ROOT / room).rglob("*.py")]

    assert set(modules) <= set(wheel)
    assert "schemas/migrations/env.py" in wheel
    assert {"schemas/rules/adoption.yaml", "schemas/rules/operations.yaml"} <= set(wheel)
    assert "schemas/migrations/versions/0001_the_first_tables.py" in wheel


def test_an_installed_wheel_migrates(archive: Path, tmp_path: Path, empty_database: str) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "site")
    env = {"PYTHONPATH": str(tmp_path / "site"), "UPTAKE_DATABASE": empty_database}
    program = "import services.cli as it; print(it.__file__); it.main()"
    command = [sys.executable, "-P", "-c", program, "migrate"]

    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [
        str(tmp_path / "site" / "services" / "cli" / "__init__.py"),
        f"the schema is at {migrate.head()}",
    ], done.stderr


def test_every_requirement_stands_in_the_lock_files_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, dev = ((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("runtime", "dev"))
    wanted = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    more = [*extras["embedded"], *project["dependency-groups"]["dev"]]

    assert all(_locked(name, runtime) and _locked(name, dev) for name in (*wanted, *extras["tracing"]))
    assert all(_locked(name, dev) for name in more)


def _locked(requirement: str, lock: str) -> bool:
    name = requirement.partition(">")[0].partition("=")[0].partition("[")[0]
    return any(
        line.startswith(f"{name}==") and following.lstrip().startswith("--hash=sha256:")
        for line, following in zip(lock.splitlines(), lock.splitlines()[1:], strict=False)
    )
