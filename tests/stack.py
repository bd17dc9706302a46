"""The whole product, started as its user starts it: ``uptake up`` in a process of its own."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO, Any

from tests import patience

ROOT = Path(__file__).parents[1]


class Stack:
    """``uptake up`` on any free ports. ``ready`` is the line it prints when all is ready."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=400)
        self.ready: dict[str, Any] = {}

    def start(self, *, kafka: str = "", database: str = "", aggregators: int = 1, **settings: object) -> dict[str, Any]:
        """Start it and return the ready line. Engines not named are the embedded ones. ``settings``: UPTAKE_*."""
        command = [sys.executable, "-m", "services.cli", "up", "--data-dir", str(self.state)]
        command += ["--api-port", "0", "--ingest-port", "0", "--aggregator-port", "0", "--notifier-port", "0"]
        command += ["--aggregators", str(aggregators)]
        command += ["--kafka", kafka] if kafka else []
        command += ["--database", database] if database else []
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())}
        env |= {f"UPTAKE_{name.upper()}": str(value) for name, value in settings.items()}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True).start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(patience.SECONDS)
            raise AssertionError("uptake up ended:\n" + self.log)
        self.ready = json.loads(line)
        return self.ready

    @property
    def pid(self) -> int:
        """Return the process id of the supervisor."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Return the last lines it logged."""
        return "\n".join(self._said)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop it as an operator does; return its exit status."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            status = self._process.wait(patience.SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
        self._process = None
        return status

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.state, ignore_errors=True)

    def _listen(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._said.append(line.rstrip())
