"""Does everybody have somebody: a manager, a champion to ask, and one in every function?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.aggregator.domain.rules.telling import number
from services.rules.shape import Rule


class Coverage(NamedTuple):
    """How many of ``people`` are champions, and the functions in which nobody is."""

    people: int
    champions: int
    without: Sequence[str] = ()


def shortage(rule: Rule, coverage: Coverage | None) -> Mapping[str, object] | None:
    """Return the evidence of too few; None: there are enough, or nobody says who they are."""
    if coverage is None or not coverage.champions:
        return None
    needed = -(-coverage.people // number(rule, "per"))
    if coverage.champions >= needed and not coverage.without:
        return None
    return {"num": coverage.champions, "den": needed, "functions_without": list(coverage.without)}


def gaps(unled: int, people: int | None) -> int:
    """Return how many of ``people`` have no manager; none, where the directory tells of no managers at all."""
    return 0 if unled == people else unled
