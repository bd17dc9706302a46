"""What watching comes to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

from services.aggregator.domain.findings import Evaluation, Finding, Subject
from services.aggregator.gathering import Ground


@dataclass(frozen=True, slots=True)
class Watched:
    """What was found. ``unjudged``: the families, by wave, of which nothing could be said this time.

    ``revised``: numbers that changed when they were final, by group, code and week.
    """

    findings: Sequence[Finding] = ()
    evaluations: Sequence[Evaluation] = ()
    unjudged: frozenset[tuple[str, str | None]] = frozenset()
    revised: Sequence[tuple[Subject, str, date]] = ()

    def __add__(self, other: Self) -> "Watched":
        return Watched(
            [*self.findings, *other.findings],
            [*self.evaluations, *other.evaluations],
            self.unjudged | other.unjudged,
            [*self.revised, *other.revised],
        )


def of_waves(ground: Ground, families: Iterable[str]) -> frozenset[tuple[str, str | None]]:
    """Return ``families`` with every wave that an episode may belong to, and without any."""
    return frozenset((family, wave) for family in families for wave in (None, *(each.id for each in ground.waves)))
