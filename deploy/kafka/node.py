"""One node of Apache Kafka in KRaft mode on this machine, for the tests and benchmarks that need the real broker.

The jars come once by Maven into a cache. A node keeps its port and its directory: killed and started again, it has
its log back. Needs Java 17 and, for the first start, Maven.
"""  # noqa: INP001 - deploy/ is no package: nothing of it is installed

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from services import child

VERSION: Final = "4.1.1"
CACHE: Final = Path.home() / ".cache" / "uptake" / f"kafka-{VERSION}"
FORMATTED: Final = CACHE.with_name(f"{CACHE.name}-formatted")
"""A formatted, empty log, which every node begins with: making one takes a Java process as long as starting a node."""
POM: Final = Path(__file__).with_name("pom.xml")
START_SECONDS: Final = 600.0
CLUSTER: Final = "dXB0YWtlLXRlc3Qtbm9kZQ"
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

QUICK_START: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto")
LONG_RUN: Final = ("-XX:+UseSerialGC", "-XX:-UsePerfData")

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
log.retention.ms=-1
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
num.network.threads=2
num.io.threads=2
"""

SECURED: Final = """\
listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{door},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{door}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={pem}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""
"""A second listener; of a property that stands twice the last one holds."""


class Lock(NamedTuple):
    """What opens a secured listener: its key and certificate in one PEM file, and who may log in."""

    pem: Path
    user: str
    password: str


class KafkaError(RuntimeError):
    """The node cannot run; the message is one line."""


def missing() -> str | None:
    """Return what this machine lacks to run a node; None when nothing."""
    if shutil.which("java") is None:
        return "Java (17 or newer) is not installed"
    if not CACHE.exists() and shutil.which("mvn") is None:
        return "Maven is not installed"
    return None


def jars() -> Path:
    """Return the directory of the broker's jars, resolving them by Maven when they are not in the cache.

    Raises:
        KafkaError: Java or Maven is missing, or Maven could not resolve them.
    """
    if lack := missing():
        raise KafkaError(lack)
    if CACHE.exists():
        return CACHE
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=CACHE.parent))
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a command of ours
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        words = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["no message"]
        raise KafkaError(f"Maven could not resolve Apache Kafka {VERSION}: {words[0]}")
    with contextlib.suppress(OSError):  # somebody else was faster
        fresh.rename(CACHE)
    return CACHE


def _keep(made: Path, target: Path) -> None:
    """Copy ``made`` to ``target``, whole or not at all."""
    fresh = Path(tempfile.mkdtemp(dir=target.parent))
    shutil.copytree(made, fresh, dirs_exist_ok=True)
    with contextlib.suppress(OSError):  # somebody else was faster
        fresh.rename(target)


class Node:
    """One broker, which is its own controller, with its log in ``directory``."""

    def __init__(
        self, directory: Path, *, port: int = 0, flags: tuple[str, ...] = QUICK_START, lock: Lock | None = None
    ) -> None:
        self.port = port or child.free_port()
        self._controller = child.free_port()
        self._lock = lock
        self.door = child.free_port() if lock else 0
        """The port of the secured listener, whose certificate is for ``localhost``."""
        self._home = directory
        self._flags = flags
        self._output = directory / "node.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Return ``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Return the process id of the running node."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Format the directory when it is new, start the node and wait until it answers.

        Raises:
            KafkaError: it did not come up.
        """
        properties = self._home / "server.properties"
        if not properties.exists():
            self._format(properties)
        with self._output.open("ab") as output:
            self._process = child.start(
                [*self._java(), "kafka.Kafka", properties],
                env=ENVIRONMENT,
                output=output,
                at_parents_end=signal.SIGKILL,
            )
        until = time.monotonic() + START_SECONDS
        while not child.listening(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise KafkaError(f"Apache Kafka did not start: {self._last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the node cleanly; by force when it does not stop in time."""
        if self._process is not None:
            child.end(self._process, signal.SIGTERM, seconds=20)

    def kill(self) -> None:
        """Kill the node (-9). Its log stays in its directory."""
        if self._process is not None:
            child.end(self._process, signal.SIGKILL, seconds=5)

    def remove(self) -> None:
        """Kill the node and delete its directory."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _format(self, properties: Path) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        logs = self._home.absolute() / "logs"
        properties.write_text(PROPERTIES.format(port=self.port, controller=self._controller, logs=logs))
        if self._lock is None and FORMATTED.exists():
            shutil.copytree(FORMATTED, logs)
            return
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties)]
        if self._lock is not None:
            door = SECURED.format(port=self.port, door=self.door, controller=self._controller, pem=self._lock.pem)
            properties.write_text(properties.read_text() + door)
            command += ["--add-scram", f"SCRAM-SHA-512=[name={self._lock.user},password={self._lock.password}]"]
        done = subprocess.run(  # noqa: S603 - a command of ours
            command, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            properties.unlink()
            raise KafkaError(f"Apache Kafka could not format its directory: {(done.stdout + done.stderr).strip()}")
        if self._lock is None:
            _keep(logs, FORMATTED)

    def _java(self) -> list[str]:
        level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        java = shutil.which("java") or "java"
        return [java, "-Xms256m", "-Xmx512m", *self._flags, level, "-cp", f"{jars()}/*"]

    def _last_words(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines() or ["no message"]
        return lines[-1]
