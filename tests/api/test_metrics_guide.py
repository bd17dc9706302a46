"""The guide to the metrics: its table is the catalogue, its examples are answered."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from services.metrics.catalogue import METRICS, Metric
from services.postgres import Pool
from tests.api.conftest import Client
from tests.api.numbers import measure

GUIDE = Path(__file__).parents[2] / "docs/guides/metrics.md"
HEAD = (
    "| metric | is | by | windows | better | needs | at least | target |",
    "|---|---|---|---|---|---|---|---|",
)
REASON = {"absent": "not counted yet: `{}`", "person": "of single people"}


def row(metric: Metric) -> str:
    """Return a metric as a row of the guide."""
    by = "" if metric.parameter is None else f"`{metric.parameter.name}`"
    if metric.parameter is not None and metric.parameter.allowed:
        by += f" {', '.join(metric.parameter.allowed)}"
    title = metric.title
    if metric.combination in REASON:
        title += f" ({REASON[metric.combination].format(metric.reason)})"
    targets = ", ".join(f"{name} {share}".strip() for name, share in metric.targets.items())
    cells = (
        f"`{metric.id}`",
        f"{title}, {metric.unit}" if metric.unit != "%" else title,
        by,
        " ".join(metric.windows),
        {"up": "more", "down": "less", "none": ""}[metric.direction],
        ", ".join(metric.inputs).replace("_", " "),
        str(metric.minimum) if metric.minimum > 1 else "",
        targets,
    )
    return f"| {' | '.join(cells)} |"


def test_the_table_of_the_guide_is_the_catalogue() -> None:
    table = "\n".join([*HEAD, *map(row, METRICS.values())])
    written = GUIDE.read_text().partition("## The catalogue\n\n")[2].strip()

    assert written == table, "write this under 'The catalogue':\n" + table


EXAMPLES = re.findall(r'curl [^\n]*"\$UPTAKE(/[^?"]+)\??([^"]*)"', GUIDE.read_text())


@pytest.mark.parametrize(("path", "query"), EXAMPLES, ids=[f"{path}?{query}" for path, query in EXAMPLES])
async def test_an_example_is_answered(api: Client, pool: Pool, path: str, query: str) -> None:
    await measure(pool)

    answer = await api.get(path, params=parse_qsl(query))

    assert answer.status_code == 200
    assert answer.json().get("items", True)
