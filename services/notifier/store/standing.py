"""Alerts as they stand now, and what may be told of them."""

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Any, Final

from schemas.alerts import item
from schemas.subscriptions import CLOSING, OPENING, Filter
from services.hearing.shape import RESOLVED, Alert, Louder
from services.notifier.domain.telling import takes
from services.postgres import Connection, Row

TOLD_KINDS: Final = frozenset({*OPENING, *CLOSING, "woken"})
"""The changes after which people may be owed something."""
WEEK: Final = timedelta(days=7)
REASONS: Final = (
    *("no_data", "source_silent", "directory_stale", "too_small", "insufficient_sample"),
    *("suppressed", "unknown_origin", "not_approved"),
)
"""Why something was not judged, of the reasons that a manager can do something about."""

_COLUMNS: Final = """
select a.*, coalesce((select max(c.seq) from alert_change c
  where c.tenant = a.tenant and c.alert = a.id and c.kind = any($2)), 0) as seq
from alert a where a.tenant = $1
"""
_OPEN: Final = f"""{_COLUMNS} and (a.state <> '{RESOLVED}' or exists (
  select from told t where t.tenant = a.tenant and t.subscription = $3 and t.alert = a.id and t.standing = 'open'))
order by a.id
"""
_LOUDER: Final = f"""
select rule, wave from alert
where tenant = $1 and state <> '{RESOLVED}' and suppressed_by is null and rule = any($2)
  and subject_kind = 'wave'
"""
_HIDDEN: Final = """
select a.id from alert a where a.tenant = $1 and a.id = any($2) and $3::int > 1 and (
  (a.subject_kind in ('team', 'role', 'wave') and not (
    coalesce((a.evidence ->> 'den')::numeric, $3) >= $3
    and exists (select from measured_week m where m.tenant = a.tenant)
    and not exists (
      select from hidden_group h where h.tenant = a.tenant and h.dimension = a.subject_kind and h.key = a.subject_key
        and h.week > (a."window" ->> 'from')::date - 7 and h.week <= (a."window" ->> 'to')::date)))
  or (a.subject_kind = 'user' and a.wave is not null and coalesce((
    select max(w.den) from wave_connection w where w.tenant = a.tenant and w.wave = a.wave), 0) < $3))
"""
_UNJUDGED: Final = """
select distinct rule, reason, subject_kind, subject_key from rule_evaluation
where tenant = $1 and outcome = 'not_judged' and window_to > $2 and window_to <= $3 and reason = any($4)
  and subject_kind in ('team', 'role', 'tenant') order by rule, reason, subject_key
"""


async def alerts(tx: Connection, tenant: str, ids: Iterable[str], wanted: Filter) -> dict[str, tuple[Alert, bool]]:
    """Return alerts by id, and of each whether a subscription asked for such."""
    rows = await tx.fetch(f"{_COLUMNS} and a.id = any($3) order by a.id", tenant, sorted(TOLD_KINDS), sorted(set(ids)))
    return _read(rows, wanted)


async def open_alerts(tx: Connection, tenant: str, subscription: str, wanted: Filter) -> dict[str, tuple[Alert, bool]]:
    """Return the alerts that are open or that somebody still takes to be open."""
    return _read(await tx.fetch(_OPEN, tenant, sorted(TOLD_KINDS), subscription), wanted)


async def inhibited(tx: Connection, tenant: str, parents: Collection[str]) -> dict[str, list[Alert]]:
    """Return the open alerts that each of ``parents`` speaks for."""
    found: dict[str, list[Alert]] = {}
    if parents:
        sql = f"{_COLUMNS} and a.suppressed_by = any($3) and a.state <> '{RESOLVED}' order by a.id"
        for row in await tx.fetch(sql, tenant, sorted(TOLD_KINDS), sorted(parents)):
            found.setdefault(row["suppressed_by"], []).append(_alert(row))
    return found


async def louder(tx: Connection, tenant: str, rules: Iterable[str]) -> list[Louder]:
    """Return the open alerts of ``rules`` on waves."""
    return [Louder(**dict(row)) for row in await tx.fetch(_LOUDER, tenant, sorted(rules))]


async def hidden(tx: Connection, tenant: str, ids: Iterable[str], min_group: int) -> set[str]:
    """Return those alerts that tell of too few people for a tenant that names none."""
    return {row[0] for row in await tx.fetch(_HIDDEN, tenant, sorted(set(ids)), min_group)}


async def unjudged(tx: Connection, tenant: str, day: date) -> list[tuple[str, str, str, str]]:
    """Return (rule, reason, kind, key) of what could not be judged in the week before ``day``."""
    rows = await tx.fetch(_UNJUDGED, tenant, day - WEEK, day, list(REASONS))
    return [tuple(row) for row in rows]


def _read(rows: Iterable[Row], wanted: Filter) -> dict[str, tuple[Alert, bool]]:
    return {row["id"]: (_alert(row), takes(wanted, item(row))) for row in rows}


def _alert(row: Row) -> Alert:
    values: dict[str, Any] = {name: row[name] for name in Alert.__dataclass_fields__}
    return Alert(**values)
