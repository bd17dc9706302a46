"""Debian's own Alertmanager on this machine.

Where it would look for its templates there is nothing then: in the copy that runs that one path leads to the cache.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx

from tests import debian
from tests.patience import wait_until

PACKAGE: Final = "prometheus-alertmanager"
CONFIG: Final = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
INSTALLED: Final = b"/usr/share/prometheus/alertmanager"
CACHED: Final = b"/proc/self/cwd/share/alertmanager/"


def program() -> Path:
    """Return the program, installed or from the cache."""
    if found := shutil.which(PACKAGE):
        return Path(found)
    return debian.kept(PACKAGE, _keep) / PACKAGE


def _keep(root: Path, place: Path) -> None:
    shutil.copytree(root / INSTALLED.decode().lstrip("/"), place / "share" / "alertmanager")
    runs = place / PACKAGE
    runs.write_bytes((root / "usr" / "bin" / PACKAGE).read_bytes().replace(INSTALLED, CACHED))
    runs.chmod(0o755)


class Alertmanager:
    """One of them, alone and empty."""

    def __init__(self, config: str = CONFIG) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="alertmanager-"))
        (self._home / "config.yml").write_text(config)
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
        wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._home / "log").read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/-/ready").is_success
        return False

    def alerts(self) -> list[dict[str, Any]]:
        """Return what burns there."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        return found

    def remove(self) -> None:
        """Stop it and delete its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)
