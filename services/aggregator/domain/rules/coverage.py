"""Does everybody have somebody: a manager, a champion to ask, one in every function, and each wave its sponsor?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.aggregator.domain.rules.telling import number
from services.rules.shape import Rule


class Coverage(NamedTuple):
    """How many of ``people`` are champions, and the functions in which nobody is."""

    people: int
    champions: int
    without: Sequence[str] = ()


class Sponsored(NamedTuple):
    """A wave by its name, in which phase it is, and whether somebody is its sponsor."""

    wave: str
    phase: str
    named: bool


def shortage(rule: Rule, coverage: Coverage | None) -> Mapping[str, object] | None:
    """Return the evidence of too few; None: there are enough, or nobody says who they are."""
    if coverage is None or not coverage.champions:
        return None
    needed = -(-coverage.people // number(rule, "per"))
    if coverage.champions >= needed and not coverage.without:
        return None
    return {"num": coverage.champions, "den": needed, "functions_without": list(coverage.without)}


def unsponsored(rule: Rule, waves: Sequence[Sponsored] | None) -> Mapping[str, object] | None:
    """Return the evidence of live waves without a sponsor; None: each has one, or nobody says who they are."""
    if waves is None or not any(each.named for each in waves):
        return None
    live = [each for each in waves if not rule.phases or each.phase in rule.phases]
    without = [each.wave for each in live if not each.named]
    return {"num": len(without), "den": len(live), "waves_without_sponsor": without} if without else None


def gaps(unled: int, people: int | None) -> int:
    """Return how many of ``people`` have no manager; none, where the directory tells of no managers at all."""
    return 0 if unled == people else unled
