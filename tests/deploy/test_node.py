from pathlib import Path

import pytest

from deploy.kafka import node
from services import kafka


@pytest.mark.faults
async def test_a_killed_node_comes_back_on_its_port_with_its_topics(apache_kafka: node.Node) -> None:
    address = apache_kafka.address
    await kafka.ensure_topics(address, partitions=3, replication=1)

    apache_kafka.kill()
    assert apache_kafka.pid is None
    apache_kafka.start()

    assert apache_kafka.address == address
    assert (await kafka.ensure_topics(address, partitions=7, replication=1))["uptake.events.v1"] == 3


def test_what_the_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None if program == "mvn" else "/usr/bin/java")
    monkeypatch.setattr(node, "CACHE", tmp_path / "none")
    assert node.missing() == "Maven is not installed"

    monkeypatch.setattr("shutil.which", lambda _program: None)
    assert node.missing() == "Java (17 or newer) is not installed"
    with pytest.raises(node.KafkaError, match="Java"):
        node.Node(tmp_path / "node").start()
