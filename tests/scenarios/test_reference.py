"""Real CRM data down the whole road, compared cell by cell with a reference that knows nothing of the product."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deploy.kafka.node import Node
from services.embedded import fresh_directory
from tests.stack import ROOT, Stack

SHARED = ROOT.parent / "shared"
TOOL = SHARED / "tools" / "check_windows.py"
DATA_SETS = ("maven_crm", "receipt_permits")
VARIANTS = ("base", "dup", "late", "loginonly", "mix", "offline")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOOL.exists(), reason="the real data sets are not beside this directory (../shared)"),
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("embedded", 1), id="embedded, 1 aggregator"),
        pytest.param(("embedded", 3), id="embedded, 3 aggregators"),
        pytest.param(("apache", 1), id="Apache Kafka, 1 aggregator", marks=pytest.mark.kafka),
        pytest.param(("apache", 3), id="Apache Kafka, 3 aggregators", marks=pytest.mark.kafka),
    ],
)
def product(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The whole product on each broker, with one aggregator and with three."""
    broker, aggregators = request.param
    with ExitStack() as end:
        stack = Stack(fresh_directory())
        end.callback(stack.remove)
        kafka = ""
        if broker == "apache":
            node = Node(fresh_directory())
            end.callback(node.remove)
            node.start()
            kafka = node.address
        stack.start(kafka=kafka, aggregators=aggregators)
        yield stack


def _compare(product: Stack, data: str, variant: str, *more: str) -> str:
    """Run the reference's own comparison in a tenant of its own; return its summary."""
    tenant = "-".join([data.replace("_", "-"), variant, *(part.strip("-") for part in more)])
    ready = product.ready
    command = [sys.executable, TOOL, SHARED / "data" / data, "--variant", variant, "--tenant", tenant, *more]
    command += ["--api", ready["api"], "--ingest", ready["ingest"], "--key", ready["admin_key"]]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}\n{product.log}"
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("data", DATA_SETS)
@pytest.mark.parametrize("order", [(), ("--late-directory",)], ids=["people first", "people last"])
def test_every_window_and_wave_equals_the_reference(product: Stack, data: str, order: tuple[str, ...]) -> None:
    summary = _compare(product, data, "mix", *order)

    assert " 0 differ; " in summary


@pytest.mark.parametrize("product", [pytest.param(("embedded", 1), id="embedded, 1 aggregator")], indirect=True)
@pytest.mark.parametrize("data", DATA_SETS)
@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant != "mix"])
def test_every_variant_of_the_data_equals_the_reference(product: Stack, data: str, variant: str) -> None:
    summary = _compare(product, data, variant)

    assert " 0 differ; " in summary
