"""A backtest as a key sees it: all that is counted is counted from the episodes that it may know of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.api.backtest_items import NOTHING
from services.api.backtest_load import Stage, spoken
from services.api.rule_items import Supply, ordered
from services.postgres import Row
from services.rules.load import by_rule
from services.rules.shape import Rule


@dataclass(frozen=True, slots=True)
class Visible:
    """What a key may see of a result. ``sweep``: by value, the episodes, and how many were left off."""

    episodes: Sequence[Mapping[str, Any]] = ()
    sweep: Sequence[Mapping[str, Any]] = ()
    detectable: Sequence[Mapping[str, Any]] = ()


def shown(row: Row, seen: Visible, rules: Mapping[str, Rule], supply: Supply, stage: Stage | None) -> dict[str, Any]:
    """Return a backtest as JSON shows it, counted from what the key may see of it; ``stage`` None: nothing came yet."""
    request, result = row["request"], row["result"]
    begun = {
        **{name: row[name] for name in ("id", "asked_at", "started_at", "finished_at", "error")},
        "state": _state(row),
        **{name: request.get(name) for name in ("from", "to")},
        "knowledge": request.get("knowledge", "now"),
        **NOTHING,
    }
    if result is None or stage is None:
        return begun
    asked = request.get("rules") or rules
    return {
        **begun,
        "as_of": result["as_of"],
        "rules": _rules([rule for rule in ordered(rules) if rule.id in asked], seen.episodes, stage, result, supply),
        "load": stage.load(seen.episodes),
        "sweep": _sweep(request.get("sweep"), seen, stage),
        "detectable": seen.detectable,
        "episodes": seen.episodes,
        "left_off": result["left_off"],
    }


def _state(row: Row) -> str:
    if row["finished_at"] is not None:
        return "finished" if row["error"] is None else "failed"
    return "waiting" if row["started_at"] is None else "running"


def _rules(
    rules: Sequence[Rule],
    episodes: Sequence[Mapping[str, Any]],
    stage: Stage,
    result: Mapping[str, Any],
    supply: Supply,
) -> list[dict[str, Any]]:
    counts = by_rule(map(spoken, episodes), stage.days)
    return [
        {
            "id": rule.id,
            "version": rule.version,
            "state": supply.state(rule)[0],
            "knowledge": result["said"].get(rule.id),
            "partial": rule.id in result["partial"],
            **_counted(counts.get(rule.id)),
        }
        for rule in rules
    ]


def _counted(counts: Mapping[str, int] | None) -> dict[str, int]:
    return {name: counts[name] if counts is not None else 0 for name in ("opens", "silenced", "closes")}


def _sweep(asked: Mapping[str, Any] | None, seen: Visible, stage: Stage) -> dict[str, Any] | None:
    if asked is None:
        return None
    return {
        "rule": asked["rule"],
        "parameter": asked["parameter"],
        "values": [
            {
                "value": row["value"],
                **_counted(by_rule(map(spoken, row["episodes"]), stage.days).get(asked["rule"])),
                "subjects": len({(each["subject"]["kind"], each["subject"]["key"]) for each in row["episodes"]}),
                "left_off": row["left_off"],
                **stage.summary(row["episodes"]),
            }
            for row in seen.sweep
        ],
    }
