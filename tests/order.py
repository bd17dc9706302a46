"""In which order the cores take the tests: what belongs together stays together, and the longest begins first.

A unit is what one core takes at a time: a file, whose tests may share engines, or less where a file is long. Units
that take long stand in ``FIRST``: none of them begins when the other cores have nothing left to do.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import pytest

FIRST: Sequence[str] = (
    "tests/scenarios/test_reference.py embedded",  # busy; what follows mostly waits, so that the two share the cores
    "tests/faults/",
    "tests/scenarios/test_reference.py Apache Kafka",
    "tests/scenarios/",
    "tests/ingest/test_faults.py",
    "tests/test_demo.py",
    "tests/ingest/test_connection.py",
    "tests/command/test_up.py",
    "tests/ingest/test_sdks.py",
    "tests/aggregator/test_consumer.py",
    "tests/command/",
    "tests/simulator/",
    "tests/deploy/test_node.py",
    "tests/test_packaging.py",
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
PRODUCT = re.compile(r"(embedded|Apache Kafka), \d+ aggregator")


def unit(nodeid: str) -> str:
    """Return the name of the unit to which the test belongs."""
    file = nodeid.partition("::")[0]
    if file.startswith(tuple(ALONE)):
        return nodeid
    product = PRODUCT.search(nodeid)
    return f"{file} {product.group()}" if product else file


def rank(nodeid: str) -> int:
    """Return the place of the test's unit: the lower, the sooner."""
    return next((place for place, room in enumerate(FIRST) if unit(nodeid).startswith(room)), len(FIRST))


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
