"""The weeks of groups as the windows have them, and two weeks compared person by person.

Weeks cost one pass over a group's difference rows. People are compared only for the pairs that are asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.aggregator.domain.rules.change import SamePeople, Watched, Week
from services.postgres import Connection


async def teams(tx: Connection, tenant: str) -> list[str]:
    """Return every team the directory knows or knew."""
    sql = "SELECT DISTINCT team FROM membership WHERE tenant = $1 AND team IS NOT NULL"
    return [row["team"] for row in await tx.fetch(sql, tenant)]


# Differences up to the last day of week 1 make week 1; each later stretch of seven days leads from week to week.
_WEEKS: Final = """
SELECT w.place, greatest(1, (d.day - w.go_live) / 7 + 1) AS week, sum(d.licensed) AS licensed, sum(d.active) AS active
FROM unnest($2::text[], $3::text[], $4::date[], $5::int[]) WITH ORDINALITY AS w(dimension, key, go_live, weeks, place)
JOIN window_delta d ON d.tenant = $1 AND d.dimension = w.dimension AND d.key = w.key AND d.days = 7
    AND d.day < w.go_live + 7 * w.weeks
GROUP BY 1, 2
"""


async def weeks(tx: Connection, tenant: str, watched: Mapping[Watched, int]) -> dict[Watched, list[Week]]:
    """Return the weeks 1 to n of each watched group with n ended weeks."""
    asked = [(*each.subject, each.wave.go_live, ended) for each, ended in watched.items()]
    if not asked:
        return {}
    steps: dict[tuple[int, int], tuple[int, int]] = {
        (row["place"], row["week"]): (row["licensed"], row["active"])
        for row in await tx.fetch(_WEEKS, tenant, *map(list, zip(*asked, strict=True)))
    }
    found: dict[Watched, list[Week]] = {}
    for place, (each, ended) in enumerate(watched.items(), start=1):
        licensed = active = 0
        found[each] = []
        for number in range(1, ended + 1):
            step = steps.get((place, number), (0, 0))
            licensed, active = licensed + step[0], active + step[1]
            found[each].append(Week(number, licensed, active))
    return found


_SAME_PEOPLE: Final = """
WITH asked AS (
    SELECT * FROM unnest($2::text[], $3::date[], $4::date[]) WITH ORDINALITY AS a(key, base, as_of, place)
), counted AS (
    SELECT a.place, a.base, a.as_of, m.user_id,
        bool_or(h.before) AS before, bool_or(h.after) AS after
    FROM asked a
    JOIN membership m ON m.tenant = $1 {key}
        AND m.kind = 'human'
    JOIN person p ON p.tenant = $1 AND p.user_id = m.user_id
    CROSS JOIN LATERAL (SELECT {before} AS before, {after} AS after) h
    WHERE (h.before OR h.after) AND NOT EXISTS (
        SELECT FROM alias i JOIN person t ON t.tenant = $1 AND t.user_id = i.user_id
        WHERE i.tenant = $1 AND i.identity = m.user_id AND i.user_id <> i.identity)
    GROUP BY a.place, a.base, a.as_of, m.user_id
), seen AS (
    SELECT c.place, c.before, c.after,
        c.before AND c.after AND EXISTS (
            SELECT FROM person_day d WHERE d.tenant = $1 AND d.user_id = c.user_id
            AND d.day BETWEEN c.base - 6 AND c.base AND d.events > 0) AS active_before,
        c.before AND c.after AND EXISTS (
            SELECT FROM person_day d WHERE d.tenant = $1 AND d.user_id = c.user_id
            AND d.day BETWEEN c.as_of - 6 AND c.as_of AND d.events > 0) AS active_after
    FROM counted c
)
SELECT place,
    count(*) FILTER (WHERE before AND after) AS stayed,
    count(*) FILTER (WHERE active_before AND NOT active_after) AS lost,
    count(*) FILTER (WHERE active_after AND NOT active_before) AS gained,
    count(*) FILTER (WHERE after AND NOT before) AS joiners,
    count(*) FILTER (WHERE before AND NOT after) AS leavers
FROM seen GROUP BY place
"""
_COUNTED_ON: Final = """
    coalesce(m.valid_from <= {day} AND (m.valid_to IS NULL OR m.valid_to > {day})
        AND EXISTS (SELECT FROM licence l WHERE l.tenant = $1 AND l.user_id = m.user_id
            AND l.licensed_from <= {day} AND (l.licensed_to IS NULL OR l.licensed_to >= {day})), false)
"""
_GROUP_KEYS: Final = {"tenant": "", "team": "AND m.team = a.key", "role": "AND m.role = a.key"}


class Pair(NamedTuple):
    """A group and the last days of the two weeks to compare."""

    dimension: str
    key: str
    base: date
    as_of: date


async def same_people(tx: Connection, tenant: str, pairs: Sequence[Pair]) -> dict[Pair, SamePeople]:
    """Return person by person counts of two weeks, for each pair."""
    found = {pair: SamePeople(0, 0, 0, 0, 0) for pair in pairs}
    for dimension, key in _GROUP_KEYS.items():
        asked = [pair for pair in pairs if pair.dimension == dimension]
        if asked:
            sql = _SAME_PEOPLE.format(
                key=key, before=_COUNTED_ON.format(day="a.base"), after=_COUNTED_ON.format(day="a.as_of")
            )
            columns = [[pair[n] for pair in asked] for n in (1, 2, 3)]
            for row in await tx.fetch(sql, tenant, *columns):
                place, *counts = row.values()
                found[asked[place - 1]] = SamePeople(*counts)
    return found
