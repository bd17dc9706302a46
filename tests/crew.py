"""Consumers in processes of their own, started, killed, stopped and woken by a test; none outlives it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent


class Crew:
    """The workers on one log and one database; what they log goes to ``diary``."""

    def __init__(self, database: str, kafka: str, shards: int, diary: Path) -> None:
        self._diary = diary
        self._engines = ["--database", database, "--kafka", kafka, "--shards", str(shards)]
        self._owners: dict[int, str] = {}
        self.workers: list[subprocess.Popen[bytes]] = []

    def said(self, worker: subprocess.Popen[bytes], words: str) -> int:
        """Count the lines with ``words`` that ``worker`` has logged."""
        owner = f'"service":"{self._owners[worker.pid]}"'
        lines = self._diary.read_text(errors="replace").splitlines()
        return sum(owner in line and words in line for line in lines)

    def hire(self, **options: object) -> subprocess.Popen[bytes]:
        """Start a worker."""
        owner = f"w{len(self._owners) + 1}"
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "tests.faults.worker", *self._engines, "--owner", owner, *words]
        with self._diary.open("ab") as diary:
            worker = subprocess.Popen(command, cwd=ROOT, stderr=diary)
        self.workers.append(worker)
        self._owners[worker.pid] = owner
        return worker

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Return the workers that have not ended."""
        return [worker for worker in self.workers if worker.poll() is None]

    def dismiss(self) -> None:
        """End every worker."""
        for worker in self.alive():
            os.kill(worker.pid, signal.SIGCONT)
            worker.kill()
            worker.wait()


def is_stopped(worker: subprocess.Popen[bytes]) -> bool:
    """Tell whether the worker stands still, or is gone."""
    return worker.poll() is not None or psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED
