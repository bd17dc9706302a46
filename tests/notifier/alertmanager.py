"""Debian's own Alertmanager on this machine. Its package comes once by apt-get into a cache, and is never installed.

Where it would look for its templates there is nothing then: in the copy that runs that one path leads to the cache.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx

PACKAGE: Final = "prometheus-alertmanager"
CACHE: Final = Path.home() / ".cache" / "uptake" / PACKAGE
START_SECONDS: Final = 30.0
CONFIG: Final = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
INSTALLED: Final = b"/usr/share/prometheus/alertmanager"
CACHED: Final = b"/proc/self/cwd/share/alertmanager/"
PRIVATE: Final = ("Dir::State::lists", "Dir::Cache")


def missing() -> str | None:
    """Return what this machine lacks to run one; None when nothing."""
    if shutil.which(PACKAGE) or CACHE.exists():
        return None
    tools = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    return f"{PACKAGE} is not installed, nor is {tools[0]}" if tools else None


def program() -> Path:
    """Return the program, brought by apt-get when it is neither installed nor in the cache."""
    if found := shutil.which(PACKAGE):
        return Path(found)
    if not CACHE.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as scratch:
            _unpack(Path(scratch))
            with contextlib.suppress(OSError):  # somebody else was faster
                (Path(scratch) / "kept").rename(CACHE)
    return CACHE / PACKAGE


def _unpack(scratch: Path) -> None:
    """Bring the package; where the lists of packages are not there, with lists of our own."""
    own = [part for option in PRIVATE for part in ("-o", f"{option}={scratch / option.rpartition(':')[2].lower()}")]
    if _run(["apt-get", "download", PACKAGE], scratch).returncode:
        for place in ("lists/partial", "cache/archives/partial"):
            (scratch / place).mkdir(parents=True)
        _run(["apt-get", *own, "update"], scratch).check_returncode()
        _run(["apt-get", *own, "download", PACKAGE], scratch).check_returncode()
    (package,) = scratch.glob("*.deb")
    _run(["dpkg-deb", "-x", package, scratch / "root"], scratch).check_returncode()
    shutil.copytree(scratch / f"root{INSTALLED.decode()}", scratch / "kept" / "share" / "alertmanager")
    runs = scratch / "kept" / PACKAGE
    runs.write_bytes((scratch / "root" / "usr" / "bin" / PACKAGE).read_bytes().replace(INSTALLED, CACHED))
    runs.chmod(0o755)


def _run(command: list[Any], home: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=home, capture_output=True, check=False)


class Alertmanager:
    """One of them, alone and empty."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="alertmanager-"))
        (self._home / "config.yml").write_text(CONFIG)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command: list[Any] = [
            program(),
            f"--config.file={self._home / 'config.yml'}",
            f"--storage.path={self._home / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--cluster.listen-address=",
        ]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=command[0].parent, stdout=log, stderr=log, env={})
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/-/ready").is_success:
                    return
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError((self._home / "log").read_text())
            time.sleep(0.05)

    def alerts(self) -> list[dict[str, Any]]:
        """Return what burns there."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        return found

    def remove(self) -> None:
        """Stop it and delete its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
        shutil.rmtree(self._home, ignore_errors=True)
