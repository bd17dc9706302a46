"""For how long the rules have not seen what was counted. Pure: versions and instants are given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Waiting:
    """The versions of each tenant that were not judged when last looked at, and when each was first seen."""

    _unjudged: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def look(self, versions: Mapping[str, tuple[int, int]], moment: float) -> float:
        """Return for how long the oldest waits at ``moment``. ``versions``: by tenant, what was counted and judged."""
        self._unjudged = {
            tenant: _still(self._unjudged.get(tenant, ()), counted, judged, moment)
            for tenant, (counted, judged) in versions.items()
        }
        return max((moment - seen[0][1] for seen in self._unjudged.values() if seen), default=0.0)


def _still(seen: Iterable[tuple[int, float]], counted: int, judged: int, moment: float) -> list[tuple[int, float]]:
    waiting = [(version, since) for version, since in seen if version > judged]
    if counted > judged and (not waiting or counted > waiting[-1][0]):
        waiting.append((counted, moment))
    return waiting
