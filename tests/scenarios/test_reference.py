"""Real CRM data down the whole road, compared cell by cell with a reference that knows nothing of the product."""

import importlib.util
import io
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import cache
from types import ModuleType

import pytest

from services import postgres
from services.aggregator.rebuild import Found, rebuild
from services.embedded import Postgres, fresh_directory
from tests.conftest import forget_topics
from tests.databases import Databases
from tests.stack import ROOT, Stack

SHARED = ROOT.parent / "shared"
TOOL = SHARED / "tools" / "check_windows.py"
DATA_SETS = ("maven_crm", "receipt_permits")
Compare = Callable[..., str]
VARIANTS = ("base", "dup", "late", "loginonly", "mix", "offline")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the tool leaves closing its files to Python
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
async def product(
    request: pytest.FixtureRequest, postgres_server: Postgres, databases: Databases
) -> AsyncIterator[Stack]:
    """The whole product on each broker, with one aggregator and with three."""
    broker, aggregators = request.param
    stack = Stack(fresh_directory())
    if broker == "embedded":
        stack.start(aggregators=aggregators)
        yield stack
        stack.remove()
        return
    node = request.getfixturevalue("_apache")
    await forget_topics(node.address)
    database = await databases.lend()
    stack.start(kafka=node.address, database=postgres_server.url(database), aggregators=aggregators)
    yield stack
    stack.remove()
    await databases.take_back(database)


@pytest.fixture(scope="session")
def tool() -> ModuleType:
    """The reference's own comparison; what each variant of the data must come to is computed once."""
    spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    made.reference = cache(made.reference)
    return made


@pytest.fixture
def compare(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Run the comparison in a tenant of its own; return its summary."""

    def run(product: Stack, data: str, variant: str, *more: str) -> str:
        tenant = "-".join([data.replace("_", "-"), variant, *(part.strip("-") for part in more)])
        ready = product.ready
        command = [TOOL, SHARED / "data" / data, "--variant", variant, "--tenant", tenant, *more]
        command += ["--api", ready["api"], "--ingest", ready["ingest"], "--key", ready["admin_key"]]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        with redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit) as end:
            tool.main()
        assert not end.value.code, f"{end.value.code}\n{said.getvalue()[-2000:]}\n{product.log}"
        return said.getvalue().strip().splitlines()[-1]

    return run


@pytest.mark.parametrize("data", DATA_SETS)
def test_every_window_and_wave_equals_the_reference(product: Stack, compare: Compare, data: str) -> None:
    summary = compare(product, data, "mix", "--late-directory")

    assert " 0 differ; " in summary


@pytest.mark.parametrize("product", [pytest.param(("embedded", 1), id="embedded, 1 aggregator")], indirect=True)
@pytest.mark.parametrize("data", DATA_SETS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_the_data_equals_the_reference(
    product: Stack, compare: Compare, data: str, variant: str
) -> None:
    summary = compare(product, data, variant)

    assert " 0 differ; " in summary


SPOILT = [
    "update window_delta set active = active + 1 where tenant = $1 and days = 7",
    "delete from person_day where tenant = $1 and extract(dow from day) = 2",
    "update roster set terms = '[]' where tenant = $1 and user_id like '%1'",
]


async def rebuilt(product: Stack, tenant: str, *, check: bool = False) -> list[Found]:
    found = rebuild(product.ready["database"], [tenant], lambda: datetime.now(UTC), check=check)
    return [each async for each in found]


@pytest.mark.parametrize("product", [pytest.param(("embedded", 1), id="embedded, 1 aggregator")], indirect=True)
async def test_disturbed_data_is_what_a_rebuild_makes_of_it_and_what_was_spoilt_is_put_right_meanwhile(
    product: Stack, compare: Compare
) -> None:
    tenant, data = "rebuilt", DATA_SETS[1]
    compare(product, data, "mix", "--tenant", tenant)
    found = await rebuilt(product, tenant, check=True)
    connection = await postgres.connect(product.ready["database"], name="tests")
    for harm in SPOILT:
        await connection.execute(harm, tenant)
    await connection.close()

    assert [each.table for each in found if each.differing] == []
    assert {"window_delta", "metric_cell"} <= {each.table for each in found if each.rows}
    assert sum(each.differing for each in await rebuilt(product, tenant)) > 0
    assert " 0 differ; " in compare(product, data, "mix", "--tenant", tenant, "--no-replay")
