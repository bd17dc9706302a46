"""What ``target`` stands for: the share that is aimed at in a phase."""

from collections.abc import Mapping

from services.metrics.catalogue import METRICS
from services.rules.shape import Json


def target_of(params: Mapping[str, Json], phase: str) -> int | None:
    """Return the share of a hundred that a rule with ``params`` aims at in ``phase``; None: there is none.

    The rule's own ``targets`` before those of its metric: for the phase, or for all.
    """
    own = params.get("targets")
    if isinstance(own, Mapping):
        share = own.get(phase)
        return share if isinstance(share, int) else None
    targets = METRICS[str(params["metric"])].targets
    return targets.get(phase, targets.get(""))
