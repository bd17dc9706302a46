"""The weeks of groups as the windows have them, and two weeks compared person by person.

Weeks cost one pass over a group's difference rows. People are compared only for the pairs that are asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.aggregator.domain.rules.change import Watched, Week
from services.aggregator.domain.rules.drop import SamePeople
from services.postgres import Connection


async def teams(tx: Connection, tenant: str) -> list[str]:
    """Return every team the directory knows or knew."""
    sql = "SELECT DISTINCT team FROM membership WHERE tenant = $1 AND team IS NOT NULL"
    return [row["team"] for row in await tx.fetch(sql, tenant)]


# Differences up to the last day of week 1 make week 1; each later stretch of seven days leads from week to week. What
# was done on a day stands once, with the windows of one day; the differences have only what does not count throughout.
_WEEKS: Final = """
SELECT w.place, greatest(1, (d.day - w.go_live) / 7 + 1) AS week,
    coalesce(sum(d.licensed) FILTER (WHERE d.days = 7), 0) AS licensed,
    coalesce(sum(d.active) FILTER (WHERE d.days = 7), 0) AS active,
    coalesce(sum(d.actions) FILTER (WHERE d.days = 7), 0) AS actions,
    coalesce(sum(d.actions) FILTER (WHERE d.days = 1), 0) AS done
FROM unnest($2::text[], $3::text[], $4::date[], $5::int[]) WITH ORDINALITY AS w(dimension, key, go_live, weeks, place)
JOIN window_delta d ON d.tenant = $1 AND d.dimension = w.dimension AND d.key = w.key
    AND (d.days = 7 OR d.days = 1 AND d.day >= w.go_live) AND d.day < w.go_live + 7 * w.weeks
GROUP BY 1, 2
"""


async def weeks(tx: Connection, tenant: str, watched: Mapping[Watched, int]) -> dict[Watched, list[Week]]:
    """Return the weeks 1 to n of each watched group with n ended weeks."""
    asked = [(*each.subject, each.wave.go_live, ended) for each, ended in watched.items()]
    if not asked:
        return {}
    steps: dict[tuple[int, int], tuple[int, int, int, int]] = {
        (row["place"], row["week"]): (row["licensed"], row["active"], row["actions"], row["done"])
        for row in await tx.fetch(_WEEKS, tenant, *map(list, zip(*asked, strict=True)))
    }
    found: dict[Watched, list[Week]] = {}
    for place, (each, ended) in enumerate(watched.items(), start=1):
        licensed = active = actions = 0
        found[each] = []
        for number in range(1, ended + 1):
            *step, done = steps.get((place, number), (0, 0, 0, 0))
            licensed, active, actions = licensed + step[0], active + step[1], actions + step[2]
            found[each].append(Week(number, licensed, active, actions + done))
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
        c.before AND coalesce(b.events, 0) > 0 AS active_before, c.after AND coalesce(n.events, 0) > 0 AS active_after,
        coalesce(b.actions, 0) AS did_before, coalesce(n.actions, 0) AS did_after,
        c.before <> c.after AND EXISTS (
            SELECT FROM membership m CROSS JOIN LATERAL (
                SELECT CASE WHEN c.before THEN c.as_of ELSE c.base END AS day) o
            WHERE m.tenant = $1 AND m.user_id = c.user_id AND m.kind = 'human' AND {elsewhere}) AS moved
    FROM counted c
    CROSS JOIN LATERAL (
        SELECT sum(d.events) AS events, sum(d.actions) AS actions FROM person_day d
        WHERE d.tenant = $1 AND d.user_id = c.user_id AND d.day BETWEEN c.base - 6 AND c.base) b
    CROSS JOIN LATERAL (
        SELECT sum(d.events) AS events, sum(d.actions) AS actions FROM person_day d
        WHERE d.tenant = $1 AND d.user_id = c.user_id AND d.day BETWEEN c.as_of - 6 AND c.as_of) n
)
SELECT place,
    count(*) FILTER (WHERE before AND after) AS stayed,
    count(*) FILTER (WHERE before AND after AND active_before AND NOT active_after) AS lost,
    count(*) FILTER (WHERE before AND after AND active_after AND NOT active_before) AS gained,
    count(*) FILTER (WHERE after AND NOT before) AS joiners,
    count(*) FILTER (WHERE before AND NOT after) AS leavers,
    count(*) FILTER (WHERE NOT before AND active_after) AS joiners_active,
    count(*) FILTER (WHERE NOT after AND active_before) AS leavers_active,
    count(*) FILTER (WHERE NOT before AND moved) AS moved_in,
    count(*) FILTER (WHERE NOT after AND moved) AS moved_out,
    count(*) FILTER (WHERE active_before AND active_after AND did_after * 10 <= did_before * 9) AS less,
    count(*) FILTER (WHERE active_before AND active_after AND did_after * 9 >= did_before * 10) AS more
FROM seen GROUP BY place
"""
# Who was on leave on more than 40 % of a week's days of work, which is three of five, was not expected in it.
_COUNTED_ON: Final = """
    coalesce(m.valid_from <= {day} AND (m.valid_to IS NULL OR m.valid_to > {day})
        AND EXISTS (SELECT FROM licence l WHERE l.tenant = $1 AND l.user_id = m.user_id
            AND l.licensed_from <= {day} AND (l.licensed_to IS NULL OR l.licensed_to >= {day}))
        AND (NOT EXISTS (SELECT FROM absence away WHERE away.tenant = $1 AND away.user_id = m.user_id
                AND away."first" <= {day} AND away."last" > {day} - 7)
            OR (SELECT 5 * count(*) FILTER (WHERE EXISTS (
                    SELECT FROM absence away WHERE away.tenant = $1 AND away.user_id = m.user_id
                        AND {day} - n BETWEEN away."first" AND away."last")) <= 2 * count(*)
                FROM generate_series(0, 6) n
                WHERE extract(isodow FROM {day} - n)
                    = ANY (coalesce(m.work_days, (SELECT t.work_days FROM tenant t WHERE t.id = $1))))), false)
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
                key=key,
                before=_COUNTED_ON.format(day="a.base"),
                after=_COUNTED_ON.format(day="a.as_of"),
                elsewhere=_COUNTED_ON.format(day="o.day"),
            )
            columns = [[pair[n] for pair in asked] for n in (1, 2, 3)]
            for row in await tx.fetch(sql, tenant, *columns):
                place, *counts = row.values()
                found[asked[place - 1]] = SamePeople(*counts)
    return found
