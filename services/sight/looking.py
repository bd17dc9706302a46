"""Finds out what a key may see, and what is hidden of groups."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from services.metrics.shape import week_of
from services.postgres import Connection
from services.sight.shape import Curtain, Sight, groups_of, span
from services.sight.store import hidden as hidden_store
from services.sight.store import lines


class Household(Protocol):
    """What must be known of a tenant."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def min_group(self) -> int:
        """Of how many people a group must be to be told of."""

    @property
    def first_day_of_week(self) -> int:
        """1: Monday."""

    @property
    def individual_visibility(self) -> str:
        """Who sees single persons: manager, owner or off."""


async def sight(connection: Connection, tenant: Household, person: str | None, today: date) -> Sight:
    """Return what a key sees that is bound to ``person`` (None: to nobody)."""
    visible = tenant.individual_visibility
    individuals = visible == "manager" or (visible == "owner" and person is None)
    if person is None:
        return Sight(individuals)
    line = await lines.line(connection, tenant.id, person, today)
    teams = await lines.teams(connection, tenant.id, line, today)
    return Sight(individuals, frozenset(line), frozenset(teams), person)


async def curtain(
    connection: Connection,
    tenant: Household,
    first: date,
    last: date,
    groups: Collection[tuple[str, str]] | None = None,
) -> Curtain:
    """Return what is hidden of ``groups`` (None: of all) on the days ``first`` to ``last``."""
    if tenant.min_group <= 1:
        return Curtain(tenant.min_group)
    start = tenant.first_day_of_week
    weeks = await hidden_store.measured(connection, tenant.id)
    if weeks is None:
        return Curtain(tenant.min_group, start)
    days = [min(max(week_of(day, start), weeks[0]), weeks[1]) for day in (first, last)]
    found = await hidden_store.hidden(connection, tenant.id, groups, days[0], days[1])
    return Curtain(tenant.min_group, start, weeks, frozenset(found))


async def curtain_of(connection: Connection, tenant: Household, alerts: Sequence[Mapping[str, Any]]) -> Curtain:
    """Return what is hidden of the groups that ``alerts`` tell of."""
    groups = set().union(*map(groups_of, alerts))
    if not groups:
        return Curtain(tenant.min_group)
    spans = [span(alert) for alert in alerts if groups_of(alert)]
    return await curtain(connection, tenant, min(first for first, _ in spans), max(last for _, last in spans), groups)
