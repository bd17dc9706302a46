"""What a rule rests on, and what of it a tenant does not supply: then it is inactive, and says so."""

from collections.abc import Collection, Iterator
from typing import Final

from services.metrics.catalogue import METRICS, Metric
from services.metrics.values import bases
from services.rules.shape import Rule

_MISSING: Final = "missing_"
_OF_PREDICATE: Final = {
    "busy_stale": ("dq.stale_close_date", "dq.next_step_current"),
}


def metrics(rule: Rule) -> Iterator[Metric]:
    """Yield the metrics that a rule judges."""
    named = rule.params.get("metric")
    for name in (*_OF_PREDICATE.get(rule.predicate, ()), *([named] if isinstance(named, str) else [])):
        if name in METRICS:
            yield METRICS[name]


def missing(rule: Rule, seen: Collection[str], kinds: Collection[str]) -> str | None:
    """Return the first kind of data that ``rule`` needs and nothing was ever told of; None: there is all it needs.

    ``seen``: the codes of the metrics that are counted anywhere in the tenant, ``kinds``: the data that is there.
    """
    found = next((kind for kind in rule.inputs if kind not in kinds), None)
    if found is not None:
        return found
    return next((lack for metric in metrics(rule) if (lack := _lack(metric, seen, kinds)) is not None), None)


def _lack(metric: Metric, seen: Collection[str], kinds: Collection[str]) -> str | None:
    if metric.reason is not None:
        return metric.reason.removeprefix(_MISSING)
    needed = list(bases(metric))
    if any(basis.code in seen for basis in needed):
        return None
    return next((kind for basis in needed for kind in basis.inputs if kind not in kinds), None)
