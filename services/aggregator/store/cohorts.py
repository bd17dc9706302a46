"""The cohorts of waves: who was to come, on which day each first came, and the D+N rows made of it.

People are read as ids grouped by team and first connecting day; more is read only of those who are late. Whoever is
merged into another person is in no cohort: that person is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.domain.waves import Group, Straggler, Wave
from services.postgres import Connection, Row


async def waves(tx: Connection, tenant: str) -> list[Wave]:
    """Return the tenant's waves, the earliest first."""
    rows = await tx.fetch("SELECT * FROM wave WHERE tenant = $1 ORDER BY go_live, id", tenant)
    return [_wave(row) for row in rows]


def _wave(row: Row) -> Wave:
    teams, roles, people = (tuple(row["scope"].get(name) or ()) for name in ("teams", "roles", "people"))
    return Wave(row["id"], row["name"], row["go_live"], teams, roles, people, row["sponsor"])


_KEYS: Final = {
    "everybody": "",
    "teams": "AND m.team = a.key",
    "roles": "AND m.role = a.key",
    "people": "AND m.user_id = a.key",
}
_CONNECTING: Final = {
    "login": {"count": "logins", "instant": "first_login_at"},
    "activity": {"count": "qualifying", "instant": "first_qualifying_at"},
}

_MEMBERS: Final = """
    SELECT a.wave, a.go_live, m.user_id, m.team
    FROM asked a
    JOIN membership m ON m.tenant = $1 {key}
        AND m.valid_from <= a.go_live AND (m.valid_to IS NULL OR m.valid_to > a.go_live)
        AND m.kind = 'human'
    JOIN person p ON p.tenant = $1 AND p.user_id = m.user_id
    JOIN licence l ON l.tenant = $1 AND l.user_id = m.user_id
        AND l.licensed_from <= a.go_live AND (l.licensed_to IS NULL OR l.licensed_to >= a.go_live)
    WHERE a.kind = '{kind}' AND NOT EXISTS (
        SELECT FROM alias i JOIN person t ON t.tenant = $1 AND t.user_id = i.user_id
        WHERE i.tenant = $1 AND i.identity = m.user_id AND i.user_id <> i.identity)
"""

_FIRST: Final = """
LEFT JOIN LATERAL (
    SELECT d.day, d.{instant} AS at FROM person_day d
    WHERE d.tenant = $1 AND d.user_id = c.user_id AND d.day >= c.go_live AND d.{count} > 0
    ORDER BY d.day LIMIT 1
) f ON true
"""

_COHORTS: Final = """
WITH asked AS (
    SELECT * FROM unnest($2::text[], $3::date[], $4::text[], $5::text[]) AS a(wave, go_live, kind, key)
), cohort AS ({members})
SELECT c.wave, c.team, f.day, array_agg(c.user_id) AS people
FROM cohort c {first}
GROUP BY c.wave, c.team, f.day
"""

_STRAGGLERS: Final = """
SELECT c.wave, c.user_id, m.team, m.manager, f.at, (
    SELECT min(l.licensed_to) FROM licence l
    WHERE l.tenant = $1 AND l.user_id = c.user_id AND l.licensed_to >= c.go_live AND NOT EXISTS (
        SELECT FROM licence n
        WHERE n.tenant = $1 AND n.user_id = c.user_id AND n.licensed_from = l.licensed_to + 1)
) AS licensed_to
FROM unnest($2::text[], $3::date[], $4::text[]) AS c(wave, go_live, user_id)
JOIN membership m ON m.tenant = $1 AND m.user_id = c.user_id
    AND m.valid_from <= c.go_live AND (m.valid_to IS NULL OR m.valid_to > c.go_live)
JOIN person p ON p.tenant = $1 AND p.user_id = c.user_id
{first}
"""


async def cohorts(tx: Connection, tenant: str, asked: Iterable[Wave], connected_by: str) -> dict[str, list[Group]]:
    """Return by wave the cohort, grouped by team and first connecting day. A person in several scopes counts once."""
    scopes = [scope for wave in asked for scope in _scopes(wave)]
    if not scopes:
        return {}
    kinds = {kind for _, _, kind, _ in scopes}
    members = " UNION ".join(_MEMBERS.format(key=key, kind=kind) for kind, key in _KEYS.items() if kind in kinds)
    sql = _COHORTS.format(members=members, first=_FIRST.format(**_CONNECTING[connected_by]))
    found: dict[str, list[Group]] = defaultdict(list)
    for row in await tx.fetch(sql, tenant, *map(list, zip(*scopes, strict=True))):
        found[row["wave"]].append(Group(row["team"], row["day"], row["people"]))
    return found


def _scopes(wave: Wave) -> list[tuple[str, date, str, str | None]]:
    if wave.everybody:
        return [(wave.id, wave.go_live, "everybody", None)]
    named = (("teams", wave.teams), ("roles", wave.roles), ("people", wave.people))
    return [(wave.id, wave.go_live, kind, key) for kind, keys in named for key in keys]


async def stragglers(
    tx: Connection, tenant: str, late: Mapping[Wave, Sequence[str]], connected_by: str
) -> dict[str, list[Straggler]]:
    """Return by wave what is known of the people in ``late``, as the directory had them on the go-live day."""
    asked = [(wave.id, wave.go_live, user) for wave, users in late.items() for user in users]
    if not asked:
        return {}
    sql = _STRAGGLERS.format(first=_FIRST.format(**_CONNECTING[connected_by]))
    found: dict[str, list[Straggler]] = defaultdict(list)
    for row in await tx.fetch(sql, tenant, *map(list, zip(*asked, strict=True))):
        person = Straggler(row["user_id"], row["team"], row["manager"], row["licensed_to"], row["at"])
        found[row["wave"]].append(person)
    return found


_CONNECTED: Final = """
INSERT INTO wave_connection AS w (tenant, wave, n, num, den, settled, missing, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant, wave, n) DO UPDATE SET num = excluded.num, den = excluded.den, settled = excluded.settled,
    missing = excluded.missing, reason = excluded.reason
WHERE (w.num, w.den, w.settled, w.missing, w.reason) IS DISTINCT FROM
    (excluded.num, excluded.den, excluded.settled, excluded.missing, excluded.reason)
"""


async def save_connections(tx: Connection, tenant: str, found: Mapping[str, Iterable[Connected]]) -> None:
    """Write D+N of the waves in ``found``; rows that did not change are not touched, those of no wave go."""
    sql = """DELETE FROM wave_connection c WHERE tenant = $1
             AND NOT EXISTS (SELECT FROM wave w WHERE w.tenant = $1 AND w.id = c.wave)"""
    await tx.execute(sql, tenant)
    rows = [(tenant, wave, *row) for wave, rows in sorted(found.items()) for row in rows]
    if rows:
        await tx.executemany(_CONNECTED, rows)
