"""Debian's own Prometheus: with the configuration that is delivered, but for where things are and how long it waits."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from services.child import free_port
from tests import debian
from tests.patience import wait_until

ROOT: Final = Path(__file__).parents[2]
DELIVERED: Final = ROOT / "deploy" / "prometheus"
RULES: Final = DELIVERED / "rules"


def promtool(*arguments: object, cwd: Path = RULES) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    command = [debian.program("prometheus", "promtool"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


class Prometheus:
    """One of them. ``targets``: where each job's process is; ``alertmanager``: its host and port."""

    def __init__(self, targets: Mapping[str, str], alertmanager: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self.key = self._home / "scrape.key"
        self.key.write_text("none")
        self._configure(targets, alertmanager)
        self._address = f"127.0.0.1:{free_port()}"
        self.api = httpx.Client(base_url=f"http://{self._address}")
        self._process: subprocess.Popen[bytes] | None = None

    def _configure(self, targets: Mapping[str, str], alertmanager: str) -> None:
        config = yaml.safe_load((DELIVERED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
            if "authorization" in job:
                job["authorization"]["credentials_file"] = str(self.key)
        for file in RULES.glob("*.rules.yml"):
            rules = yaml.safe_load(file.read_text())
            for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
                rule["for"] = "0s"
            (self._home / "rules").mkdir(exist_ok=True)
            (self._home / "rules" / file.name).write_text(yaml.safe_dump(rules))
        (self._home / "prometheus.yml").write_text(yaml.safe_dump(config))

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command: list[Any] = [
            debian.program("prometheus", "prometheus"),
            f"--config.file={self._home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._home / 'data'}",
            f"--web.listen-address={self._address}",
            "--enable-feature=exemplar-storage",
        ]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=self._home, stdout=log, stderr=log, env={})
        wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._home / "log").read_text()
        with contextlib.suppress(httpx.TransportError):
            return self.api.get("/-/ready").is_success
        return False

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Return the series that answer ``question`` now."""
        return self.get("/api/v1/query", query=question)["result"]  # type: ignore[no-any-return]

    def get(self, path: str, **query: Any) -> Any:
        """Return the data at ``path`` of its API."""
        answer = self.api.get(path, params=query)
        assert answer.is_success, f"{query}: {answer.text}"
        return answer.json()["data"]

    def remove(self) -> None:
        """Stop it and delete its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self.api.close()
        shutil.rmtree(self._home, ignore_errors=True)
