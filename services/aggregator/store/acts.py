"""What people did, by all of their identities, as far as a contribution can tell it apart.

Most of what a person does counts by the day: of acts that are alike on one local day the first stands for all. Only of
the kinds that are counted one by one every act is read.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from schemas.events import HUMAN_ORIGINS
from services.metrics.shape import Act
from services.postgres import Connection


class Doer(NamedTuple):
    """A person, the identities they act by, and the days of theirs that are asked for, ``[start, end)``."""

    user: str
    identities: Sequence[str]
    start: date
    end: date
    zone: tzinfo


_IDENTITIES: Final = """
select u as person, u as identity from unnest($2::text[]) as q(u)
where not exists (select from person_link l where l.tenant = $1 and l.identity = u and l.user_id is distinct from u)
union all
select l.user_id, l.identity from person_link l
where l.tenant = $1 and l.user_id = any($2) and l.identity <> l.user_id
"""


async def identities(tx: Connection, tenant: str, users: Sequence[str]) -> dict[str, list[str]]:
    """Return by which identities ``users`` act; who counts as somebody else acts by none."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in await tx.fetch(_IDENTITIES, tenant, list(users)):
        found[row["person"]].append(row["identity"])
    return {user: found.get(user, []) if user in found.get(user, ()) else [] for user in users}


async def people_of(tx: Connection, tenant: str, names: Iterable[str]) -> dict[str, str | None]:
    """Return whom identities count for; None: for nobody, several could be meant."""
    rows = await tx.fetch(
        "select identity, user_id from person_link where tenant = $1 and identity = any($2)", tenant, list(set(names))
    )
    linked = {row["identity"]: row["user_id"] for row in rows}
    return {name: linked.get(name, name) for name in names}


_SPANS: Final = "unnest($2::text[], $3::int[], $4::timestamptz[], $5::timestamptz[]) as q(identity, n, low, high)"
# What software creates is not counted by the record, and may be very much.
_SINGLE: Final = "not (a.kind = 'crm.record.created' and a.origin in ('api', 'automation', 'sync'))"
_ACTS: Final = f"""
select q.n, min(a.at) as at, a.kind, a.origin, a.environment, a.behalf, a.object, min(a.record) as record, a.detail,
  coalesce(a.bulk, false) as bulk, coalesce(a.automatic, false) as automatic
from {_SPANS} join activity a on a.tenant = $1 and a.user_id = q.identity
  and a.at >= q.low and a.at < q.high and a.at >= $6::timestamptz and a.at < $7::timestamptz
group by q.n, a.kind, a.origin, a.environment, a.behalf, a.object, a.detail, a.bulk, a.automatic,
  width_bucket(a.at, $8::timestamptz[]), case when a.kind = any($9) and {_SINGLE} then a.identity end
order by q.n, 2
"""


async def acts(tx: Connection, tenant: str, doers: Iterable[Doer], one_by_one: Sequence[str]) -> dict[str, list[Act]]:
    """Return what ``doers`` did, in order of time; ``one_by_one``: the kinds of which every act is told."""
    by_zone: dict[tzinfo, list[Doer]] = defaultdict(list)
    for doer in doers:
        by_zone[doer.zone].append(doer)
    found: dict[str, list[Act]] = {}
    for zone, group in by_zone.items():
        midnights = _midnights(zone, min(doer.start for doer in group), max(doer.end for doer in group))
        rows = [(name, n, doer) for n, doer in enumerate(group) for name in doer.identities]
        lists: list[list[Act]] = [[] for _ in group]
        for n, *told in await tx.fetch(
            _ACTS,
            tenant,
            [name for name, _, _ in rows],
            [n for _, n, _ in rows],
            [_midnight(zone, doer.start) for _, _, doer in rows],
            [_midnight(zone, doer.end) for _, _, doer in rows],
            midnights[0],
            midnights[-1],
            midnights,
            list(one_by_one),
        ):
            lists[n].append(Act(*told))
        found |= {doer.user: lists[n] for n, doer in enumerate(group)}
    return found


def _midnight(zone: tzinfo, day: date) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _midnights(zone: tzinfo, first: date, last: date) -> list[datetime]:
    return [_midnight(zone, first + timedelta(days=n)) for n in range((last - first).days + 1)]


_FIRST: Final = """
select q.n, min(f.at) as at
from unnest($2::text[], $3::int[], $4::timestamptz[]) as q(identity, n, low)
cross join lateral (
  select a.at from activity a
  where a.tenant = $1 and a.user_id = q.identity and a.at >= q.low and a.at >= $5::timestamptz
    and a.kind like 'crm.%' and a.kind <> 'crm.session.login_failed' and ($6::text is null or a.kind = $6)
    and a.origin = any($7) and coalesce(a.environment, 'production') = 'production' and a.behalf is null
  order by a.at limit 1
) f
group by q.n
"""


async def first_acts(tx: Connection, tenant: str, doers: Sequence[Doer], kind: str | None) -> dict[str, datetime]:
    """Return when each of ``doers`` first did, from their ``start`` on, what qualifies; ``kind``: only such acts."""
    rows = [(name, n, _midnight(doer.zone, doer.start)) for n, doer in enumerate(doers) for name in doer.identities]
    if not rows:
        return {}
    names, numbers, lows = (list(column) for column in zip(*rows, strict=True))
    found = await tx.fetch(_FIRST, tenant, names, numbers, lows, min(lows), kind, list(HUMAN_ORIGINS))
    return {doers[row["n"]].user: row["at"] for row in found}
