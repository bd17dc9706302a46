"""Real CRM data down the whole road, compared cell by cell with a reference that knows nothing of the product.

So are the alerts, one by one; and what a backtest finds in the same history are the same alerts.
"""

import functools
import importlib.util
import io
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from services import postgres
from services.aggregator.rebuild import Found, rebuild
from services.embedded import Postgres, fresh_directory
from tests.conftest import forget_topics
from tests.databases import Databases
from tests.patience import wait_until
from tests.scenarios.published import LAST_WEEK, Data, Episode
from tests.stack import ROOT, Stack

SHARED = ROOT.parent / "shared"
TOOL = SHARED / "tools" / "check_windows.py"
DATA_SETS = ("maven_crm", "receipt_permits")
Compare = Callable[..., str]
EMBEDDED, CLUSTER = ("embedded", 1), ("apache", 3)
"""On which broker the product runs, and with how many aggregators."""
KAFKA = [pytest.mark.kafka]
VARIANTS = ("base", "dup", "late", "loginonly", "mix", "offline")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the tool leaves closing its files to Python
    pytest.mark.skipif(not TOOL.exists(), reason="the real data sets are not beside this directory (../shared)"),
]


@pytest.fixture(scope="module")
async def product(
    request: pytest.FixtureRequest, postgres_server: Postgres, databases: Databases
) -> AsyncIterator[Stack]:
    """The whole product on a broker, with so many aggregators."""
    broker, aggregators = request.param
    stack = Stack(fresh_directory())
    if broker == "embedded":
        stack.start(aggregators=aggregators)
        yield stack
        stack.remove()
        return
    node = request.getfixturevalue("_apache")
    if node.pid is None:
        node.start()
    await forget_topics(node.address)
    database = await databases.lend()
    engines = {"kafka": node.address, "database": postgres_server.url(database)}
    stack.start(**engines, aggregators=aggregators)
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
    made.reference = functools.cache(made.reference)
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


@pytest.mark.parametrize(
    ("product", "data"),
    [
        pytest.param(EMBEDDED, DATA_SETS[0], id="embedded, 1 aggregator-maven_crm"),
        pytest.param(EMBEDDED, DATA_SETS[1], id="embedded, 1 aggregator-receipt_permits", marks=pytest.mark.again),
        pytest.param(
            CLUSTER, DATA_SETS[0], id="Apache Kafka, 3 aggregators-maven_crm", marks=[*KAFKA, pytest.mark.again]
        ),
        pytest.param(CLUSTER, DATA_SETS[1], id="Apache Kafka, 3 aggregators-receipt_permits", marks=KAFKA),
    ],
    indirect=["product"],
)
def test_every_window_wave_and_alert_equals_the_reference(
    product: Stack, tool: ModuleType, compare: Compare, data: str
) -> None:
    summary = compare(product, data, "mix", "--late-directory")
    ready, tenant = product.ready, f"{data.replace('_', '-')}-mix-late-directory"
    service = tool.Uptake(ready["api"], ready["ingest"], ready["admin_key"], tenant)
    alerts = standing(service)
    tried = wait_until(functools.partial(finished, service, service.must("POST", "/v1/rules/backtest", {})["id"]))
    partial = {rule["id"] for rule in tried["rules"] if rule["partial"]}

    assert " 0 differ; " in summary
    assert missed(service, tool, data) == missed_by_reference(tool, data)
    assert waves_below(alerts) == waves_below_by_reference(tool, data)
    assert drops(alerts) == {_drop(each) for each in Data(SHARED / "data" / data, "mix").drops()}
    assert partial.isdisjoint({*WAVE_RULES, DROP, MISSED})
    assert named(tried["episodes"], "closed_at", partial) == named(alerts, "resolved_at", partial)


def finished(service: Any, backtest: str) -> Any:
    """Return the backtest; None as long as it is not finished."""
    tried = service.must("GET", f"/v1/rules/backtest/{backtest}?wait=60")
    return tried if tried["state"] == "finished" else None


MISSED, DROP = "user-never-logged-in-d3", "adoption-drop-vs-week1"
WAVE_RULES = {
    "wave-connection-d1-below-target": ("d1_below_80", 10),
    "wave-connection-d3-emergency": ("d3_below_70", 5),
    "wave-connection-d5-below-target": ("d5_below_90", 10),
}
"""What the reference calls them, and how many people a wave must have."""
Told = set[tuple[Any, ...]]


def standing(service: Any, query: str = "") -> list[dict[str, Any]]:
    """Return the alerts that were not withdrawn."""
    return [alert for alert in service.pages(f"/v1/alerts?{query}") if alert["resolution"] != "restated"]


def missed(service: Any, tool: ModuleType, data: str) -> dict[str, list[str]]:
    """Return by wave who had not come by D+3."""
    return {
        wave: sorted(each["subject"]["key"] for each in standing(service, f"rule={MISSED}&wave={wave}"))
        for wave in missed_by_reference(tool, data)
    }


def missed_by_reference(tool: ModuleType, data: str) -> dict[str, list[str]]:
    """Return the same as the reference has it."""
    return {tool.wave_id(row): row["missing_d3"] for row in tool.reference(SHARED / "data" / data, "mix")["dplus"]}


def waves_below(alerts: list[dict[str, Any]]) -> Told:
    """Return which waves missed which target."""
    found = [(each["rule"], each["subject"]["key"], each["evidence"]) for each in alerts if each["rule"] in WAVE_RULES]
    return {(rule, wave, evidence["num"], evidence["den"]) for rule, wave, evidence in found}


def waves_below_by_reference(tool: ModuleType, data: str) -> Told:
    """Return the same as the reference has it."""
    want = tool.reference(SHARED / "data" / data, "mix")["alerts"]
    return {
        (rule, tool.wave_id(row), row["logged_in"], row["cohort"])
        for rule, (name, least) in WAVE_RULES.items()
        for row in want[name]
        if row["cohort"] >= least
    }


def drops(alerts: list[dict[str, Any]]) -> Told:
    """Return which groups fell behind their first week, when, and what shows it."""
    names = ("opened_in", "confirmed_in", "week", "num", "den", "lost", "gained")
    return {
        (*each["subject"].values(), each["opened_at"], each["resolved_at"], *(each["evidence"][name] for name in names))
        for each in alerts
        if each["rule"] == DROP
    }


def _drop(each: Episode) -> tuple[Any, ...]:
    def judged(week: int) -> str:
        return f"{each.group.go_live + timedelta(weeks=week)}T02:00:00Z"

    over = judged(LAST_WEEK + 1 if each.over is None else each.over)
    numbers = (each.opened, each.confirmed, each.shown, each.num, each.den, each.lost, each.gained)
    return (each.group.dimension, each.group.key, judged(each.opened), over, *numbers)


def named(episodes: list[dict[str, Any]], end: str, partial: set[str]) -> dict[str, tuple[Any, ...]]:
    """Return episodes by the ids of their alerts, but for those of ``partial`` rules."""
    return {
        each["id"]: (each["rule"], each["subject"], each["severity"], each["tier"], each["opened_at"], each[end])
        for each in episodes
        if each["rule"] not in partial
    }


@pytest.mark.again
@pytest.mark.parametrize("product", [pytest.param(EMBEDDED, id="embedded, 1 aggregator")], indirect=True)
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


@pytest.mark.parametrize("product", [pytest.param(EMBEDDED, id="embedded, 1 aggregator")], indirect=True)
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
