"""The load of the benchmarks: people of one tenant with a history, and the events of their office days.

Everything follows from the seed. An active person's day is three sessions, about 25 events, each beginning with a
login; two events in a hundred are delivered twice. The history is written by SQL of its own, not by the code that is
measured, so a check of the windows checks two ways of counting.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from schemas.events import Record, encode
from schemas.topics import EVENTS, person_key, shard_of
from services.kafka import Appender
from services.postgres import Connection

TENANT: Final = "bench"
FIRST_DAY: Final = date(2026, 3, 2)
EPOCH: Final = date(1970, 1, 1)
SESSIONS: Final = (8, 8, 9)
EVENTS_A_DAY: Final = sum(SESSIONS)
ACTIVE_SHARE: Final = 0.6
COPY_EVERY: Final = 50
COPY_AFTER: Final = 500
"""How many events later a copy comes."""


@dataclass(frozen=True, slots=True)
class Office:
    """Who works there: ``people`` in ``teams`` and ``roles``, with ``history`` days behind them."""

    people: int
    history: int = 28
    teams: int = 500
    roles: int = 8
    first_day: date = FIRST_DAY

    def events_a_day(self) -> int:
        """Return about how many events happen on a day."""
        return int(self.people * ACTIVE_SHARE) * EVENTS_A_DAY


class Moment(NamedTuple):
    """That a person did something."""

    second: float
    person: int
    login: bool


def user_name(person: int) -> str:
    """Return the user id of a person."""
    return f"user-{person:06d}"


def _moments(office: Office, rng: random.Random) -> list[Moment]:
    """Return one office day in the order of its seconds."""
    moments = []
    for person in rng.sample(range(office.people), int(office.people * ACTIVE_SHARE)):
        for length in SESSIONS:
            second = 8 * 3600 + rng.random() * 9 * 3600
            for step in range(length):
                moments.append(Moment(second, person, step == 0))
                second += rng.expovariate(1 / 40)
    moments.sort()
    return moments


def events(office: Office, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the events of office days from ``first_day`` on, without end and without copies."""
    rng, number, day = random.Random(seed), 0, office.first_day
    while True:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for second, person, login in _moments(office, rng):
            at = midnight + timedelta(seconds=int(second))
            number += 1
            yield _event(f"{seed:x}-{number}", at, person, number, login=login)
        day += timedelta(days=1)


def _event(name: str, at: datetime, person: int, number: int, *, login: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"user": user_name(person), "origin": "ui", "environment": "production"}
    if not login:
        data |= {
            "object": "opportunity",
            "record": f"{number % 100_000:06d}",
            "owner": data["user"],
            "stage": "negotiation",
            "fields": {"amount": "120000.00", "close_date": "2026-03-31", "next_step": "call the buyer back"},
            "fields_required": 4,
            "fields_filled": 3,
        }
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/crm/acme/production",
        "type": "crm.session.login" if login else "crm.record.updated",
        "subject": "session" if login else f"opportunity/{number % 100_000:06d}",
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": data,
    }


def with_copies(stream: Iterable[dict[str, Any]], count: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield ``count`` deliveries, and of each whether it is a copy of an earlier one."""
    earlier: deque[dict[str, Any]] = deque(maxlen=COPY_AFTER)
    source = iter(stream)
    for number in range(count):
        if number % COPY_EVERY == COPY_EVERY - 1 and earlier:
            yield earlier[0], True
        else:
            earlier.append(next(source))
            yield earlier[-1], False


class Preloaded(NamedTuple):
    """What stands on the topic: records, and how many of them are copies."""

    records: int
    copies: int


async def preload(kafka: str, office: Office, count: int, seed: int) -> Preloaded:
    """Append ``count`` records to the events topic, each stamped as received when it happened."""
    appender = Appender(kafka, client_id="benchmark", request_ms=30_000)
    await appender.start()
    shards = await appender.partitions(EVENTS)
    batches = {shard: appender.batch() for shard in range(shards)}
    copies = 0
    for event, is_copy in with_copies(events(office, seed), count):
        copies += is_copy
        record = encode(TENANT, event)
        received = int(datetime.fromisoformat(event["time"]).timestamp() * 1000)
        shard = shard_of(record.key, shards)
        if not _append(batches[shard], record, received):
            await appender.append(EVENTS, shard, batches[shard])
            batches[shard] = appender.batch()
            _append(batches[shard], record, received)
    for shard, batch in batches.items():
        if batch.record_count():
            await appender.append(EVENTS, shard, batch)
    await appender.stop()
    return Preloaded(count, copies)


def _append(batch: Any, record: Record, received: int) -> bool:  # noqa: ANN401 - the client's own batch
    key, value, headers = record
    return batch.append(timestamp=received, key=key, value=value, headers=headers) is not None


# ---------------------------------------------------------------- the people and their past

_PEOPLE: Final = """
create temp table staff as
select 'user-' || lpad(g::text, 6, '0') as user_id, 'team-' || g % $TEAMS as team, 'role-' || g % $ROLES as role,
  s as shard from unnest($1::int[]) with ordinality as u(s, n), lateral (select (n - 1)::int as g) as x
"""
_DIRECTORY: Final = """
insert into tenant (id, name, clock) values ('bench', 'Bench', $CLOCK);
insert into person (tenant, user_id) select 'bench', user_id from staff;
insert into licence (tenant, user_id, licensed_from) select 'bench', user_id, date '$FROM' from staff;
insert into membership (tenant, user_id, valid_from, team, role)
select 'bench', user_id, date '0001-01-01', team, role from staff;
insert into roster (tenant, user_id, terms)
select 'bench', user_id, jsonb_build_array(
    jsonb_build_array('role', role, $FROM_DAY, $FOREVER), jsonb_build_array('team', team, $FROM_DAY, $FOREVER),
    jsonb_build_array('tenant', 'all', $FROM_DAY, $FOREVER)) from staff;
insert into window_delta (tenant, dimension, key, days, day, shard, licensed)
select 'bench', d, k, w, date '$FROM', shard, count(*) from staff,
  lateral (values ('tenant', 'all'), ('team', team), ('role', role)) as t(d, k), unnest('{1,7,28}'::int[]) as w
group by d, k, w, shard;
"""
_HISTORY: Final = """
insert into person_day (tenant, user_id, day, events, logins, actions, qualifying, first_at, last_at)
select 'bench', user_id, date '$START' + d, 3, 1, 2, 3, date '$START' + d, date '$START' + d
from staff, generate_series(0, $HISTORY - 1) as d where hashtext(user_id || d) & 1023 < 614;
insert into window_delta (tenant, dimension, key, days, day, shard, active, logged_in, actions, active_user_days)
select 'bench', d, k, w, day, shard, sum(a), sum(a), sum(c), sum(u)
from (
  select s.team, s.role, s.shard, w, e.day, sum(e.a) as a, sum(e.c) as c, sum(e.u) as u
  from (select user_id, day, lag(day) over (partition by user_id order by day) as earlier from person_day) as f
  join staff s using (user_id), unnest('{1,7,28}'::int[]) as w,
  lateral (values (f.day, 0, case w when 1 then 2 else 0 end, case w when 1 then 1 else 0 end),
    (case when f.earlier + w < f.day + w then greatest(f.day, f.earlier + w) else f.day end, 1, 0, 0),
    (f.day + w, -1, 0, 0)) as e(day, a, c, u)
  group by s.team, s.role, s.shard, w, e.day) as x,
  lateral (values ('tenant', 'all'), ('team', team), ('role', role)) as t(d, k)
group by d, k, w, day, shard
having sum(a) <> 0 or sum(c) <> 0 or sum(u) <> 0
on conflict (tenant, dimension, key, days, day, shard) do update set active = window_delta.active + excluded.active,
  logged_in = window_delta.logged_in + excluded.logged_in, actions = window_delta.actions + excluded.actions,
  active_user_days = window_delta.active_user_days + excluded.active_user_days;
"""


async def furnish(connection: Connection, office: Office, shards: int, *, clock: str = "event") -> None:
    """Write the tenant, its people and their history, as aggregators would have left them."""
    start = office.first_day - timedelta(days=office.history)
    names = {
        "$TEAMS": office.teams,
        "$ROLES": office.roles,
        "$CLOCK": f"'{clock}'",
        "$FROM_DAY": (start - EPOCH).days,
        "$FROM": start,
        "$START": start,
        "$HISTORY": office.history,
        "$FOREVER": 2_932_897,
    }
    homes = [shard_of(person_key(TENANT, user_name(person)), shards) for person in range(office.people)]
    await connection.execute("set work_mem = '256MB'")
    await connection.execute(_filled(_PEOPLE, names), homes, timeout=60)
    await connection.execute(_filled(_DIRECTORY, names), timeout=300)
    if office.history:
        await connection.execute(_filled(_HISTORY, names), timeout=900)
    await connection.execute("drop table staff")
    await connection.execute("vacuum analyze", timeout=300)
    await connection.execute("checkpoint", timeout=300)


def _filled(text: str, names: dict[str, Any]) -> str:
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, str(names[name]))
    return text


# ---------------------------------------------------------------- whether the answer is right

_FOLDED: Final = """
select coalesce(sum(folded), 0)::bigint as folded, coalesce(sum(duplicates), 0)::bigint as duplicates,
  coalesce(sum(dead_letters), 0)::bigint as dead_letters from tally where tenant = 'bench' and shard >= 0
"""
_FACTS: Final = "select coalesce(sum(events), 0)::bigint from person_day where tenant = 'bench' and day >= $1"
_KEPT: Final = "select count(*) from activity where tenant = 'bench'"
_WRONG: Final = """
with days as (select as_of, w from unnest($1::date[]) as as_of, unnest('{1,7,28}'::int[]) as w),
told as (
  select r.dimension, r.key, d.as_of, d.w, sum(r.active) filter (where r.days = d.w) as active,
    sum(r.logged_in) filter (where r.days = d.w) as logged_in,
    sum(r.actions) filter (where r.days > 1 or r.day > d.as_of - d.w) as actions,
    sum(r.active_user_days) filter (where r.days > 1 or r.day > d.as_of - d.w) as user_days
  from days d join window_delta r on r.days in (1, d.w) and r.day <= d.as_of
  where r.tenant = 'bench' group by 1, 2, 3, 4),
seen as (
  select g.dimension, g.key, d.as_of, d.w, count(distinct p.user_id) as active,
    count(distinct p.user_id) filter (where p.logins > 0) as logged_in, sum(p.actions) as actions,
    count(*) as user_days
  from days d join person_day p on p.tenant = 'bench' and p.day > d.as_of - d.w and p.day <= d.as_of
  join membership m using (tenant, user_id),
  lateral (values ('tenant', 'all'), ('team', m.team), ('role', m.role)) as g(dimension, key) where g.key is not null
  group by 1, 2, 3, 4)
select count(*) as cells, count(*) filter (where
  coalesce(t.active, 0) <> coalesce(s.active, 0) or coalesce(t.logged_in, 0) <> coalesce(s.logged_in, 0)
  or coalesce(t.actions, 0) <> coalesce(s.actions, 0) or coalesce(t.user_days, 0) <> coalesce(s.user_days, 0)) as wrong
from told t full join seen s using (dimension, key, as_of, w)
"""


class Folded(NamedTuple):
    """What the aggregators say they took."""

    folded: int
    duplicates: int
    dead_letters: int

    @property
    def total(self) -> int:
        """Return how many records that were."""
        return self.folded + self.duplicates + self.dead_letters


async def folded(connection: Connection) -> Folded:
    """Return what was committed so far."""
    return Folded(*await connection.fetchrow(_FOLDED))


async def check(connection: Connection, office: Office, *, distinct: int, copies: int, as_of: Iterable[date]) -> int:
    """Compare every window on the days ``as_of`` with a count from the facts; return how many cells were compared.

    Raises:
        SystemExit: something was lost, counted twice, or counted wrongly: the figures mean nothing.
    """
    took = await folded(connection)
    facts = await connection.fetchval(_FACTS, office.first_day)
    kept = await connection.fetchval(_KEPT)
    if took != Folded(distinct, copies, 0) or facts != distinct or kept != distinct:
        raise SystemExit(
            f"WRONG: {distinct} events and {copies} copies were sent, {took}, {facts} in the facts, {kept} kept"
        )
    days = list(as_of)
    cells, wrong = await connection.fetchrow(_WRONG, days, timeout=600)
    if wrong or (not cells and days):
        raise SystemExit(f"WRONG: {wrong} of {cells} window cells differ from a count of the facts")
    return int(cells)
