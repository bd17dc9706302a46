"""The guide to the rules: its table is the packs, its rule of one's own is valid."""

import json
import re
from pathlib import Path

from services.rules.inputs import metrics
from services.rules.pack import DEFAULT, SPECS, problems
from services.rules.sentences import closes, opens
from services.rules.shape import Rule

GUIDE = (Path(__file__).parents[2] / "docs/guides/rules.md").read_text(encoding="utf-8")
HEAD = (
    "| rule | opens | closes | loud | told to | needs | at least | silenced by |",
    "|---|---|---|---|---|---|---|---|",
)
ALWAYS = {"activity", "directory"}


def row(rule: Rule) -> str:
    """Return a rule as a row of the guide."""
    loud = rule.severity if rule.suspected is None else f"{rule.suspected}, confirmed {rule.severity}"
    loud += "".join(f", {name} {severity}" for name, severity in rule.louder.items())
    needed = dict.fromkeys([*rule.inputs, *(kind for metric in metrics(rule) for kind in metric.inputs)])
    cells = (
        f"`{rule.id}`",
        opens(rule),
        closes(rule),
        loud,
        ", ".join(rule.audience),
        ", ".join(kind for kind in needed if kind not in ALWAYS),
        str(rule.minimum) if rule.minimum > 1 else "",
        ", ".join(f"`{name}`" for name in rule.inhibited_by),
    )
    return f"| {' | '.join(cells)} |".replace("_", " ")


def test_the_table_of_the_guide_is_the_packs() -> None:
    table = "\n".join([*HEAD, *map(row, DEFAULT.values())])
    written = GUIDE.partition("## The rules\n\n")[2].strip()

    assert written == table, "write this under 'The rules':\n" + table


def test_the_changes_in_the_guide_are_valid() -> None:
    found = re.findall(r"-d '(\{.*?\})' .*?/v1/rules/([a-z0-9-]+)\"", GUIDE, re.DOTALL)

    assert [rule for _, rule in found] == ["stale-close-dates", "reviews-not-ready"]
    for body, rule in found:
        assert problems(rule, json.loads(body), SPECS) == []
