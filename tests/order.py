"""In which order the cores take the tests: what belongs together stays together, and the longest begins first.

A unit is what one core takes at a time: a file, whose tests may share engines; less where a file is long; more where
several files share what is dear, as all tests on Apache Kafka share one node, and all stories one product. Units that
take long stand in ``FIRST``: none of them begins when the other cores have nothing left to do.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import pytest

APACHE = "Apache Kafka"
"""The unit of all tests on it; they mostly wait."""
FIRST: Sequence[str] = (
    APACHE,
    "tests/scenarios/",
    "tests/faults/",
    "tests/test_demo.py",
    "tests/ingest/test_faults.py",
    "tests/ingest/test_connection.py",
    "tests/ingest/test_landing.py",
    "tests/command/",
    "tests/ingest/test_sdks.py",
    "tests/aggregator/test_consumer.py",
    "tests/deploy/",
    "tests/simulator/",
    "tests/api/test_directory.py",
    "tests/api/test_isolation.py",
    "tests/api/test_openapi.py",
    "tests/aggregator/",
    "tests/ingest/",
    "tests/api/",
)
ALONE: Sequence[str] = (
    "tests/aggregator/test_consumer.py",
    "tests/faults/",
    "tests/ingest/test_faults.py",
    "tests/ingest/test_connection.py",
)
"""Their tests share nothing: each is a unit."""
TOGETHER: Sequence[str] = ("tests/scenarios/",)
"""Their files share a product."""
PRODUCT = re.compile(r"embedded, \d+ aggregator")
ON_APACHE = re.compile(r"\[(.+-)?apache\b|Apache Kafka")


def unit(nodeid: str) -> str:
    """Return the name of the unit to which the test belongs."""
    if ON_APACHE.search(nodeid):
        return APACHE
    if product := PRODUCT.search(nodeid):
        return f"{nodeid.partition('::')[0]} {product.group()}"
    if nodeid.startswith(tuple(ALONE)):
        return nodeid
    rooms = [room for room in TOGETHER if nodeid.startswith(room)]
    return rooms[0] if rooms else nodeid.partition("::")[0]


def rank(item: pytest.Item) -> int:
    """Return the place of the test's unit: the lower, the sooner."""
    return next((place for place, room in enumerate(FIRST) if unit(item.nodeid).startswith(room)), len(FIRST))


def workers() -> int:
    """Return how many tests run at once on this machine: tests wait a good part of their time."""
    return (os.cpu_count() or 1) + 1


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Return the one that hands units to the cores."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only there when a run uses several cores

    class Units(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    config.option.loadscopereorder = False  # the order is ours
    return Units(config, log)
