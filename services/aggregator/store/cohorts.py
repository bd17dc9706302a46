"""The cohorts of waves: who was to come, on which day each first came, and the D+N rows made of it.

People are read as ids grouped by team and first connecting day; more is read only of those who are late. Whoever is
merged into another person is in no cohort: that person is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from services.aggregator.domain.facts import LOGIN_FAILED
from services.aggregator.domain.own_days import OwnDays, own_days
from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.domain.waves import Group, Straggler, Wave
from services.metrics.shape import Interval, Person, Policy, Spell
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
SELECT c.wave, c.go_live, c.user_id, m.team, m.manager, f.at, m.work_days, p.calendar, p.active_from, p.active_to,
EXISTS (
    SELECT FROM membership o WHERE o.tenant = $1 AND o.user_id = c.user_id AND o.opted_out
    AND (o.valid_to IS NULL OR o.valid_to > c.go_live)
) AS opted_out, ARRAY (
    SELECT a."first" FROM absence a WHERE a.tenant = $1 AND a.user_id = c.user_id AND a."last" >= c.go_live ORDER BY 1
) AS away_from, ARRAY (
    SELECT a."last" FROM absence a
    WHERE a.tenant = $1 AND a.user_id = c.user_id AND a."last" >= c.go_live ORDER BY a."first"
) AS away_to, EXISTS (
    SELECT FROM membership r WHERE r.tenant = $1 AND r.manager = c.user_id AND r.kind = 'human'
    AND r.valid_from <= c.go_live AND (r.valid_to IS NULL OR r.valid_to > c.go_live)
) AS leads, (
    SELECT max(l.licensed_from) FROM licence l
    WHERE l.tenant = $1 AND l.user_id = c.user_id AND l.licensed_from <= c.go_live AND NOT EXISTS (
        SELECT FROM licence b
        WHERE b.tenant = $1 AND b.user_id = c.user_id AND b.licensed_to = l.licensed_from - 1)
) AS licensed_from, (
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


Refused = Mapping[str, Sequence[datetime]] | None
"""When logins of people were refused; None: that is not kept any more."""


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
    tx: Connection,
    tenant: str,
    late: Mapping[Wave, Sequence[str]],
    policy: Policy,
    refused: Mapping[str, Refused],
) -> dict[str, list[Straggler]]:
    """Return by wave what is known of the people in ``late``, as the directory had them on the go-live day.

    ``refused``: of each wave of them.
    """
    asked = [(wave.id, wave.go_live, user) for wave, users in late.items() for user in users]
    if not asked:
        return {}
    sql = _STRAGGLERS.format(first=_FIRST.format(**_CONNECTING["login" if policy.by_login else "activity"]))
    found: dict[str, list[Straggler]] = defaultdict(list)
    for row in await tx.fetch(sql, tenant, *map(list, zip(*asked, strict=True))):
        wave, user, told = row["wave"], row["user_id"], refused[row["wave"]]
        found[wave].append(
            Straggler(
                user,
                row["team"],
                row["manager"],
                min((day for day in (row["licensed_to"], row["active_to"]) if day is not None), default=None),
                row["at"],
                row["licensed_from"],
                row["leads"],
                None if told is None else told.get(user, ()),
                _own(row, policy),
            )
        )
    return found


def _own(row: Row, policy: Policy) -> OwnDays | None:
    """Return the own days of a person; None: nothing says that they are other than everybody's."""
    live, work_days = row["go_live"], row["work_days"]
    late = row["active_from"] is not None and row["active_from"] > live
    if not (late or work_days or row["calendar"] or row["opted_out"] or row["away_from"]):
        return None
    held = Spell(
        Interval(date.min, None),
        opted_out=row["opted_out"],
        work_days=None if work_days is None else frozenset(work_days),
    )
    person = Person(
        row["user_id"],
        (held,),
        absences=tuple(map(Interval.through, row["away_from"], row["away_to"])),
        calendar=row["calendar"],
        active=Interval(row["active_from"] or date.min, None),
    )
    return own_days(person, policy, live)


_REFUSED: Final = f"""
WITH named AS (
    SELECT u AS user_id, u AS identity FROM unnest($2::text[]) u
    UNION SELECT l.user_id, l.identity FROM person_link l WHERE l.tenant = $1 AND l.user_id = any($2)
), hours AS (
    SELECT n.user_id, max(a.at) AS at
    FROM named n JOIN activity a ON a.tenant = $1 AND a.user_id = n.identity
    WHERE a.at >= $3 AND a.at < $4 AND a.kind = '{LOGIN_FAILED}'
      AND coalesce(a.environment, 'production') = 'production'
    GROUP BY n.user_id, date_trunc('hour', a.at, $5)
)
SELECT user_id, array_agg(at ORDER BY at) AS times FROM hours GROUP BY user_id
"""


async def refused(
    tx: Connection, tenant: str, users: Sequence[str], start: datetime, end: datetime, zone: str
) -> dict[str, list[datetime]]:
    """Return when logins of ``users`` were refused from ``start`` until before ``end``, of each hour the last."""
    rows = await tx.fetch(_REFUSED, tenant, list(users), start, end, zone) if users else ()
    return {row["user_id"]: row["times"] for row in rows}


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
