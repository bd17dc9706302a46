"""Programs of Debian, such as its Prometheus. A package comes once by apt-get into a cache, and is never installed."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

CACHE: Final = Path.home() / ".cache" / "uptake"
PRIVATE: Final = ("Dir::State::lists", "Dir::Cache")
NEEDED: Final = ("prometheus", "prometheus-alertmanager", "chromium-headless-shell")
THERE: Final = ("install", "--reinstall", "--download-only", "--yes", "--no-install-recommends")
"""What lies beside a package comes although it is installed, and what it needs unless that is."""

Keep = Callable[[Path, Path], None]
"""Puts what is wanted of an unpacked package (its root) into a directory."""


def missing() -> str | None:
    """Return what this machine lacks to run them; None when nothing."""
    wanted = [package for package in NEEDED if not shutil.which(package) and not (CACHE / package).exists()]
    tools = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    return f"{wanted[0]} is not installed, nor is {tools[0]}" if wanted and tools else None


def kept(package: str, keep: Keep, *beside: str) -> Path:
    """Return where what is wanted of ``package`` is, brought by apt-get when it is not in the cache.

    ``beside``: packages whose files it looks for beside its own; with them comes all that it needs and is not there.
    """
    place = CACHE / package
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _unpack(["download", package] if not beside else [*THERE, package, *beside], Path(scratch))
            keep(Path(scratch) / "root", Path(scratch) / "kept")
            with contextlib.suppress(OSError):  # somebody else was faster
                (Path(scratch) / "kept").rename(place)
    return place


def program(package: str, name: str) -> Path:
    """Return the program ``name`` of ``package``, installed or from the cache."""
    if found := shutil.which(name):
        return Path(found)

    def keep(root: Path, place: Path) -> None:
        shutil.copytree(root / "usr" / "bin", place)

    return kept(package, keep) / name


def _unpack(fetch: list[str], scratch: Path) -> None:
    """Bring the packages; where the lists of packages are not there, with lists of our own."""
    own = [part for option in PRIVATE for part in ("-o", f"{option}={scratch / option.rpartition(':')[2].lower()}")]
    here = ["-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={scratch}", *fetch]
    for place in ("lists/partial", "cache/archives/partial", "partial"):
        (scratch / place).mkdir(parents=True)
    if _run(["apt-get", *here], scratch).returncode:
        _run(["apt-get", *own, "update"], scratch).check_returncode()
        _run(["apt-get", *own, *here], scratch).check_returncode()
    for package in scratch.glob("*.deb"):
        _run(["dpkg-deb", "-x", package, scratch / "root"], scratch).check_returncode()


def _run(command: list[Any], home: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=home, capture_output=True, check=False)
