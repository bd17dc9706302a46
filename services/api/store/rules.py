"""A tenant's own versions of rules, what rules said of whom, and what became of the alerts that they opened."""

from collections.abc import Mapping
from datetime import date, datetime
from itertools import compress
from typing import Any, Final, NamedTuple

from schemas.statements import CODES
from services.api.store import tenants
from services.metrics.shape import EVERYBODY
from services.postgres import Connection, Row
from services.rules.life import BY_PEOPLE
from services.rules.pack import Spec, Version
from services.rules.usefulness import Record
from services.sight import Sight


class Place(NamedTuple):
    """One evaluation of the list, by its sort key."""

    subject_kind: str
    subject_key: str
    window_to: date


class Asked(NamedTuple):
    """Which evaluations are asked for; None: any. ``first`` and ``last``: days on which their windows end."""

    rule: str
    subject_kind: str | None = None
    subject_key: str | None = None
    first: date | None = None
    last: date | None = None


class Kept(NamedTuple):
    """The newest version of a rule that a tenant has made, and who made it."""

    version: Version
    actor: str
    at: datetime


async def order(connection: Connection, tenant: str) -> None:
    """Let nobody else change the rules of ``tenant`` until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('rules' || chr(10) || $1, 0))", tenant)


async def versions(connection: Connection, tenant: str) -> dict[str, Kept]:
    """Return the newest version of each rule that ``tenant`` has ever made one of."""
    rows = await connection.fetch(
        """select distinct on (rule) rule, number, spec, actor, at from rule_version
           where tenant = $1 order by rule, number desc""",
        tenant,
    )
    return {row["rule"]: Kept(Version(row["number"], row["spec"]), row["actor"], row["at"]) for row in rows}


async def keep(connection: Connection, tenant: str, rule: str, spec: Spec | None, actor: str) -> None:
    """Add a version; None: the pack's rule stands again. Everything is judged anew."""
    await connection.execute(
        """insert into rule_version (tenant, rule, number, spec, actor)
           select $1, $2, coalesce(max(number), 0) + 1, $3, $4 from rule_version where tenant = $1 and rule = $2""",
        tenant,
        rule,
        spec,
        actor,
    )
    await tenants.judge(connection, tenant)


async def data(connection: Connection, tenant: str) -> tuple[list[str], list[str]]:
    """Return all that is counted of the tenant as a whole, by code, and what its directory names of other people."""
    codes, *there = await connection.fetchrow(
        f"""with recursive {CODES}
           select array(select code from codes where code is not null),
                  exists (select from membership where tenant = $1 and champion),
                  exists (select from membership where tenant = $1 and manager is not null),
                  exists (select from wave where tenant = $1 and sponsor is not null)
                    or exists (select from contact where tenant = $1 and role = 'sponsor')""",
        tenant,
        EVERYBODY,
    )
    return codes, list(compress(("champions", "managers", "sponsors"), there))


_OWN: Final = """
    ($2::text[] is null or (subject_kind = 'user' and subject_key = any($2))
     or (subject_kind = 'team' and subject_key = any($3::text[])))
"""


async def evaluations(
    connection: Connection, tenant: str, sight: Sight, asked: Asked, after: Place | None, limit: int
) -> list[Row]:
    """Return what a rule said, by subject, the newest window first, from the one after ``after`` on."""
    arguments: list[Any] = [tenant, *_bounds(sight), sight.individuals, sight.person]
    where = [
        "tenant = $1",
        _OWN,
        "($4::bool or subject_kind <> 'user' or subject_key = $5::text)",
    ]

    def add(condition: str, *values: object) -> None:
        places = [f"${len(arguments) + n}" for n in range(1, len(values) + 1)]
        arguments.extend(values)
        where.append(condition.format(*places))

    for condition, value in (
        ("rule = {}", asked.rule),
        ("subject_kind = {}", asked.subject_kind),
        ("subject_key = {}", asked.subject_key),
        ("window_to >= {}", asked.first),
        ("window_to <= {}", asked.last),
    ):
        if value is not None:
            add(condition, value)
    if after is not None:
        add(
            """(subject_kind, subject_key) >= ({0}, {1})
               and ((subject_kind, subject_key) > ({0}, {1}) or window_to < {2})""",
            *after,
        )
    add("true order by subject_kind, subject_key, window_to desc limit {}", limit)
    rows: list[Row] = await connection.fetch(
        f"""select rule, rule_version, subject_kind, subject_key, window_from, window_to, outcome, reason, num, den,
                   baseline, p, alert, as_of, at, revision
            from rule_evaluation where {" and ".join(where)}""",
        *arguments,
    )
    return rows


def _bounds(sight: Sight) -> tuple[list[str] | None, list[str] | None]:
    people, teams = sight.people, sight.teams
    return None if people is None else sorted(people), None if teams is None else sorted(teams)


async def records(connection: Connection, tenant: str, sight: Sight, since: datetime) -> Mapping[str, Record]:
    """Return what became of the alerts of each rule that were opened after ``since`` and not kept back."""
    rows = await connection.fetch(
        f"""with mine as (
                select id, rule, opened_at, resolved_at, useful from alert
                where tenant = $1 and opened_at > $4 and suppressed_by is null and {_OWN}
            ), acts as (
                select c.alert, bool_or(c.kind = any($5) and c.actor <> 'evaluator') as acted,
                       extract(epoch from min(c.at) filter (where c.kind = 'acknowledged')
                               - min(c.at) filter (where c.kind = 'opened')) / 3600 as hours
                from alert_change c where c.tenant = $1 and c.alert in (select id from mine) group by c.alert
            )
            select m.rule, count(*) as alerts, count(*) filter (where a.acted) as acted,
                   count(m.resolved_at) as ended,
                   count(*) filter (where m.resolved_at < m.opened_at + interval '24 hours'
                                    and a.acted is not true) as brief,
                   count(*) filter (where m.useful) as useful, count(*) filter (where not m.useful) as useless,
                   percentile_cont(0.5) within group (order by a.hours::float8) as median_hours,
                   exists (select from alert o where o.tenant = $1 and o.rule = m.rule and o.opened_at <= $4) as whole
            from mine m left join acts a on a.alert = m.id group by m.rule""",
        tenant,
        *_bounds(sight),
        since,
        [kind for kind in BY_PEOPLE if kind != "labelled"],
    )
    return {row["rule"]: Record(**{name: row[name] for name in Record.__slots__}) for row in rows}
