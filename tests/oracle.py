"""What every window must be, computed the slow and obvious way from the directory and the distinct events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from services.aggregator.domain.windows import LENGTHS
from services.postgres import Pool


class Spell(NamedTuple):
    """A membership, half-open."""

    valid_from: date
    valid_to: date | None
    team: str
    role: str


class Entry(NamedTuple):
    """A person in the directory."""

    spells: Sequence[Spell]
    licensed_from: date
    licensed_to: date | None


Cells: TypeAlias = dict[tuple[str, str, int, date], tuple[int, ...]]
"""(dimension, key, length, as-of day) → licensed, active, logged_in, actions, active_user_days."""


def brute_force(directory: Mapping[str, Entry], events: Iterable[dict[str, Any]], days: Sequence[date]) -> Cells:
    """Return every cell with somebody licensed."""
    found: dict[tuple[str, str, int, date], list[int]] = {}
    by_user: dict[str | None, list[tuple[date, str]]] = {}
    for event in events:
        day = datetime.fromisoformat(event["time"]).date()
        by_user.setdefault(event["data"].get("user"), []).append((day, event["type"]))
    for user, entry in directory.items():
        for as_of in days:
            spell = next(
                (s for s in entry.spells if s.valid_from <= as_of and (s.valid_to is None or as_of < s.valid_to)), None
            )
            licensed = entry.licensed_from <= as_of and (entry.licensed_to is None or as_of <= entry.licensed_to)
            if spell is None or not licensed:
                continue
            for length in LENGTHS:
                inside = [
                    (d, kind) for d, kind in by_user.get(user, ()) if timedelta(0) <= as_of - d < timedelta(length)
                ]
                counts = (
                    1,
                    bool(inside),
                    any(kind == "crm.session.login" for _, kind in inside),
                    sum(not kind.startswith("crm.session.") for _, kind in inside),
                    len({d for d, _ in inside}),
                )
                for dimension, key in (("tenant", "all"), ("team", spell.team), ("role", spell.role)):
                    cell = found.setdefault((dimension, key, length, as_of), [0] * 5)
                    for n, count in enumerate(counts):
                        cell[n] += int(count)
    return {key: tuple(cell) for key, cell in found.items()}


async def cells(pool: Pool, days: Sequence[date], tenant: str = "acme") -> Cells:
    """Read every cell with somebody licensed by plain prefix sums."""
    rows = await pool.fetch(
        "select d.as_of, w.dimension, w.key, w.days, sum(licensed)::int, sum(active)::int, sum(logged_in)::int,"
        " sum(actions)::int, sum(active_user_days)::int from unnest($1::date[]) as d(as_of)"
        " join window_delta w on w.day <= d.as_of and w.tenant = $2 group by 1, 2, 3, 4 having sum(licensed) <> 0",
        days,
        tenant,
    )
    return {(row[1], row[2], row[3], row[0]): tuple(row)[4:] for row in rows}
