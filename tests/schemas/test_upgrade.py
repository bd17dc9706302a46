"""An installation of an earlier revision, filled and brought to the head: what was kept means what it meant."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from services import migrate, postgres
from services.aggregator.store.records import histories
from services.api.store import windows
from services.metrics.histories import Change

FIRST = date(2026, 1, 1)
SPAN = 120


def _as_0001_kept_them(rng: random.Random) -> tuple[list[tuple[Any, ...]], dict[windows.Place, tuple[int, ...]]]:
    """Return rows of differences as revision 0001 wrote them, and the windows that they stood for."""
    rows: list[tuple[Any, ...]] = []
    expected: dict[windows.Place, list[int]] = defaultdict(lambda: [0] * 6)
    for group, shard in [(("tenant", "all"), 0), (("tenant", "all"), 3), (("team", "north"), 1)]:
        amounts = [rng.choice([0, 0, 3, 3, 7]) if 10 < day < 80 else 0 for day in range(SPAN)]
        for days in windows.WINDOWS:
            before = [0] * 6
            for day in range(SPAN):
                held = sum(amounts[max(0, day - days + 1) : day + 1])
                moved = rng.choice([0, 0, 0, 5]) if days > 1 and day < 100 else 0
                now = [20, min(held, 20), 0, held + moved, held // 3, 1]
                if now != before:
                    change = [new - old for new, old in zip(now, before, strict=True)]
                    rows.append(("acme", *group, days, FIRST + timedelta(days=day), shard, *change))
                before = now
                place = windows.Place(*group, days, FIRST + timedelta(days=day))
                expected[place] = [old + new for old, new in zip(expected[place], now, strict=True)]
    return rows, {place: tuple(values) for place, values in expected.items()}


async def test_what_revision_0001_kept_means_the_same_afterwards(empty_database: str) -> None:
    await migrate.upgrade(empty_database, "0001")
    connection = await postgres.connect(empty_database, name="tests")
    rows, expected = _as_0001_kept_them(random.Random(7))
    await connection.execute("insert into tenant (id, name) values ('acme', 'Acme')")
    await connection.execute(
        "insert into person (tenant, user_id, email) values ('acme', 'a', 'A@x'), ('acme', 'b', 'a@x')"
    )
    await connection.execute(
        "insert into dead_letter (tenant, shard, log_offset, mark, value, reason) values ('acme', 0, 7, 9, 'x', 'bad')"
    )
    await connection.execute(
        "insert into source_seen (tenant, source, shard, last_event_at) values ('acme', 'crm', 0, '2026-02-02')"
    )
    await connection.execute(
        """insert into person_day (tenant, user_id, day, first_at, last_at, last_login_at)
           values ('acme', 'a', '2026-02-01', '2026-02-01', '2026-02-01', '2026-02-01T08:00Z')"""
    )
    await connection.executemany(
        "insert into window_delta values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", rows
    )

    await migrate.upgrade(empty_database)
    last = FIRST + timedelta(days=SPAN - 1)
    question = windows.Question(windows.DIMENSIONS, None, windows.WINDOWS, FIRST, last)
    found = dict(await windows.page(connection, "acme", question, None, 10_000))
    letter = await connection.fetchrow("select state, letter, reasons from dead_letter")
    ids = await connection.fetchval("select count(distinct scim_id) from person")
    login = await connection.fetchval("select last_login_at from source_seen")
    await connection.close()

    assert found == expected
    assert tuple(letter) == ("open", None, [])
    assert (ids, login.isoformat()) == (2, "2026-02-01T08:00:00+00:00")


PEOPLE_OF_0002 = """
insert into person (tenant, user_id, licensed_from, licensed_to, kind, attributes) values
    ('acme', 'anna', '2026-01-05', null, 'human', '{"location": "Kiel", "champion": true, "calendar": "de-by"}'),
    ('acme', 'bo', '2026-01-05', '2026-03-31', 'human',
        '{"time_zone": "Asia/Bahrain", "active_from": "2026-01-07", "active_to": "2026-03-31", "leadership": false}'),
    ('acme', 'sync', null, null, 'service', '{}'),
    ('acme', 'odd', '2026-02-01', '2026-01-01', 'human', '{"calendar": "our office", "function": "Sales"}')
"""


async def test_what_revision_0002_kept_of_people_has_a_history_afterwards(empty_database: str) -> None:
    await migrate.upgrade(empty_database, "0002")
    connection = await postgres.connect(empty_database, name="tests")
    await connection.execute("insert into tenant (id, name) values ('acme', 'Acme')")
    await connection.execute(PEOPLE_OF_0002)
    await connection.execute(
        """insert into membership (tenant, user_id, valid_from, valid_to, team) values
               ('acme', 'anna', '0001-01-01', '2026-02-01', 'North'), ('acme', 'anna', '2026-02-01', null, 'South'),
               ('acme', 'bo', '0001-01-01', null, 'North'), ('acme', 'sync', '0001-01-01', null, null),
               ('acme', 'odd', '0001-01-01', null, 'North')"""
    )

    await migrate.upgrade(empty_database)
    licences = await connection.fetch("select user_id, licensed_from, licensed_to, price from licence order by 1, 2")
    spells = await connection.fetch(
        """select user_id, team, kind, location, function, champion, leadership, opted_out, work_days
           from membership order by user_id, valid_from"""
    )
    people = await connection.fetch(
        "select user_id, time_zone, calendar, active_from, active_to from person order by user_id"
    )
    await connection.close()

    assert [tuple(row) for row in licences] == [
        ("anna", date(2026, 1, 5), None, None),
        ("bo", date(2026, 1, 5), date(2026, 3, 31), None),
    ]
    assert [tuple(row) for row in spells] == [
        ("anna", "North", "human", "Kiel", None, True, False, False, None),
        ("anna", "South", "human", "Kiel", None, True, False, False, None),
        ("bo", "North", "human", None, None, False, False, False, None),
        ("odd", "North", "human", None, "Sales", False, False, False, None),
        ("sync", None, "service", None, None, False, False, False, None),
    ]
    assert [tuple(row) for row in people] == [
        ("anna", None, "DE-BY", None, None),
        ("bo", "Asia/Bahrain", None, date(2026, 1, 7), date(2026, 3, 31)),
        ("odd", None, None, None, None),
        ("sync", None, None, None, None),
    ]


ACTIVITY_OF_0003 = """
insert into activity (tenant, user_id, at, identity, kind, source, origin, environment, behalf, object, record,
    owner, stage, close_date, forecast, fields, received_at)
select 'acme', u, $1::timestamptz + n * interval '12 hours', lpad(n::text, 32, '0')::uuid, k, 'crm', 'ui', e, b, o, r,
    'eve', 'Offer', '2026-05-01', 'commit', '{"Amount": "filled"}', $1
from (values (1, 'ada', 'crm.record.created', null, null, 'deal', '1'),
    (2, 'ada', 'crm.record.updated', null, 'bo', 'deal', '1'),
    (3, '', 'crm.record.updated', null, null, 'deal', '1'),
    (4, 'ada', 'crm.record.updated', 'sandbox', null, 'deal', '1'),
    (5, 'ada', 'crm.task.done', null, null, 'deal', '1'),
    (6, 'ada', 'crm.record.viewed', null, null, 'deal', null)) as v(n, u, k, e, b, o, r)
"""


async def test_what_revision_0003_kept_of_records_is_their_history_afterwards(empty_database: str) -> None:
    await migrate.upgrade(empty_database, "0003")
    connection = await postgres.connect(empty_database, name="tests")
    await connection.execute("insert into tenant (id, name) values ('acme', 'Acme')")
    first = datetime(2026, 3, 2, tzinfo=UTC)
    for day in range(4):
        low, high = (first + timedelta(days=day + more) for more in (0, 1))
        await connection.execute(
            f"create table activity_{low:%Y%m%d} partition of activity for values from ('{low}') to ('{high}')"
        )
    await connection.execute(ACTIVITY_OF_0003, first)
    await connection.execute(
        "insert into measured (tenant, since, week, day, until) values ('acme', $1, $1, $1, $2)", first.date(), first
    )

    await migrate.upgrade(empty_database)
    told = (await histories(connection, "acme", ["deal\t1"], first + timedelta(days=9)))["deal\t1"].changes
    kept = await connection.fetchval("select count(*) from activity")
    await connection.close()

    said = ("eve", "Offer", date(2026, 5, 1), "commit", {"amount": "filled"})
    assert sorted(told) == [
        Change(first + timedelta(hours=12 * number), str(UUID(int=number)), f"crm.record.{kind}", user, "ui", *said)
        for number, kind, user in [(1, "created", "ada"), (2, "updated", None), (3, "updated", None)]
    ]
    assert kept == 6
    await migrate.check(empty_database)
