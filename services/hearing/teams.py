"""Who leads a team, as its reporting lines tell: managers of people who are no managers of that team themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Member(NamedTuple):
    """Somebody of a team."""

    team: str
    user_id: str
    manager: str | None
    function: str | None
    champion: bool


class Teams(NamedTuple):
    """What is known of teams, by their names."""

    leads: Mapping[str, Sequence[str]]
    champions: Mapping[str, Sequence[str]]
    functions: Mapping[str, str | None]


def teams_of(members: Iterable[Member]) -> Teams:
    """Return who leads the teams of ``members``, who their champions are, and what function most of them have."""
    of: defaultdict[str, list[Member]] = defaultdict(list)
    for member in members:
        of[member.team].append(member)
    return Teams(
        {team: leads(some) for team, some in of.items()},
        {team: [member.user_id for member in some if member.champion] for team, some in of.items()},
        {team: _most(member.function for member in some if member.function is not None) for team, some in of.items()},
    )


def leads(members: Sequence[Member]) -> list[str]:
    """Return who leads a team: where its manager is in it, not also the one whom that manager reports to."""
    managers = {member.manager for member in members if member.manager is not None}
    leading = {member.manager for member in members if member.manager is not None and member.user_id not in managers}
    return sorted(leading or managers)


def _most(values: Iterable[str]) -> str | None:
    numbers = Counter(values)
    return min(numbers, key=lambda value: (-numbers[value], value), default=None)
