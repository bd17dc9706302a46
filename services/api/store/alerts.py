"""Reading alerts and their history, and writing what people do to them.

Whoever adds a change takes ``order`` before any alert is locked: so changes of a tenant are numbered in the order they
are committed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.alerts import ORDER, WAKE
from services.postgres import Connection, Row

COLUMNS: Final = (
    "id",
    "rule",
    "rule_version",
    "severity",
    "tier",
    "state",
    "suppressed_by",
    "subject_kind",
    "subject_key",
    "wave",
    "title",
    "opened_at",
    "updated_at",
    "resolved_at",
    "resolution",
    "window",
    "evidence",
    "audience",
    "action",
    "episode",
    "revision",
    "acknowledged_at",
    "snoozed_until",
    "snooze_reason",
    "assignee",
    "plan_on",
    "escalation",
    "useful",
)
_SHOWN: Final = ", ".join(f'"{name}"' for name in COLUMNS)


class Place(NamedTuple):
    """One alert of the list, by its sort key."""

    opened_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What a key may see: single persons or not, and of a bound key the people and teams (None: all).

    ``person``: whom it is bound to; ``least``: of how many people a group must be to be told of.
    """

    individuals: bool
    people: list[str] | None
    teams: list[str] | None
    person: str | None
    least: int

    @property
    def values(self) -> tuple[object, ...]:
        """The arguments of the condition."""
        return self.individuals, self.people, self.teams, self.person, self.least


_SEEN: Final = """
    ($2::bool or subject_kind not in ('user', 'team', 'role', 'wave')
     or (subject_kind = 'user' and subject_key = $5::text)
     or (subject_kind <> 'user' and ($6::int <= 1 or (
         coalesce((evidence ->> 'den')::numeric, $6) >= $6
         and exists (select from measured_week m where m.tenant = alert.tenant)
         and not exists (
             select from hidden_group h where h.tenant = alert.tenant and h.dimension = alert.subject_kind
                and h.key = alert.subject_key and h.week > ("window" ->> 'from')::date - 7
                and h.week <= ("window" ->> 'to')::date)))))
    and ($3::text[] is null
         or (subject_kind = 'user' and subject_key = any($3))
         or (subject_kind = 'team' and subject_key = any($4::text[])))
"""
"""Of whom a key may know, given the arguments 2 to 6 as ``Sight.values`` has them."""
_FILTERS: Final = ("state", "rule", "severity", "tier", "subject_kind", "subject_key", "wave")


async def page(
    connection: Connection,
    tenant: str,
    sight: Sight,
    filters: Mapping[str, str | None],
    *,
    opened: tuple[datetime | None, datetime | None],
    after: Place | None,
    limit: int,
) -> list[Row]:
    """Return alerts, newest first, from the one after ``after`` on. ``opened`` is half-open."""
    arguments: list[Any] = [tenant, *sight.values]
    where = ["tenant = $1", _SEEN]

    def add(condition: str, *values: object) -> None:
        places = [f"${len(arguments) + n}" for n in range(1, len(values) + 1)]
        arguments.extend(values)
        where.append(condition.format(*places))

    for name in _FILTERS:
        if filters.get(name) is not None:
            add(f"{name} = {{}}", filters[name])
    if opened[0] is not None:
        add("opened_at >= {}", opened[0])
    if opened[1] is not None:
        add("opened_at < {}", opened[1])
    if after is not None:
        add("(opened_at, id) < ({}, {})", *after)
    add("true order by opened_at desc, id desc limit {}", limit)
    rows: list[Row] = await connection.fetch(f"select {_SHOWN} from alert where {' and '.join(where)}", *arguments)
    return rows


async def find(connection: Connection, tenant: str, alert: str, sight: Sight, *, lock: bool = False) -> Row | None:
    """Return one alert that may be seen; ``lock``: nobody else changes it until the transaction ends."""
    return await connection.fetchrow(
        f"select {_SHOWN} from alert where tenant = $1 and id = $7 and {_SEEN} {'for update' if lock else ''}",
        tenant,
        *sight.values,
        alert,
    )


async def history(connection: Connection, tenant: str, alert: str, after: int, limit: int) -> list[Row]:
    """Return the changes of an alert in order, from the one after ``after`` on."""
    rows: list[Row] = await connection.fetch(
        """select seq, kind, state, actor, as_of, at, body, detail from alert_change
           where tenant = $1 and alert = $2 and seq > $3 order by seq limit $4""",
        tenant,
        alert,
        after,
        limit,
    )
    return rows


async def order(connection: Connection, tenant: str) -> None:
    """Let nobody else add changes of the tenant until the transaction ends."""
    await connection.execute(ORDER, tenant)


async def change(
    connection: Connection, tenant: str, alert: str, columns: Mapping[str, object], now: datetime, *, again: bool
) -> Row:
    """Write ``columns`` of an alert; ``again``: the evaluator is to look when it is due next."""
    sets = "".join(f", {name} = ${n}" for n, name in enumerate(columns, 5))
    return await connection.fetchrow(
        f"""update alert set updated_at = $3::timestamptz, revision = revision + 1,
              due_at = case when $4::bool then $3::timestamptz end{sets}
            where tenant = $1 and id = $2 returning {_SHOWN}""",
        tenant,
        alert,
        now,
        again,
        *columns.values(),
    )


async def remember(
    connection: Connection,
    tenant: str,
    alert: str,
    *,
    kind: str,
    actor: str,
    as_of: datetime,
    body: Mapping[str, Any],
    detail: Mapping[str, Any],
) -> None:
    """Add a change to the history of an alert, and wake who listens; ``body`` is the alert after it."""
    await connection.execute(
        """insert into alert_change (tenant, alert, kind, state, actor, as_of, body, detail)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        tenant,
        alert,
        kind,
        body["state"],
        actor,
        as_of,
        body,
        dict(detail),
    )
    await connection.execute(WAKE, tenant)
