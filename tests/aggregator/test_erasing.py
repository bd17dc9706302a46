"""A person is forgotten on real Postgres: what is left is what would be there had they never come, or had no name."""

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.events import encode
from schemas.topics import person_key, shard_of
from services import installation
from services.aggregator.keeper import Keeper
from services.aggregator.retaining import Periods
from services.aggregator.shard import Shard, Tenants
from services.api.store import erasures
from services.embedded import Broker
from services.kafka import Follower
from services.postgres import Pool, transaction
from tests.aggregator.evaluation import evaluator
from tests.aggregator.measured import measurer
from tests.aggregator.shards import SHARDS, Log, Numbered, event, own, settled
from tests.builders import add_tenant, enter
from tests.oracle import Entry, Spell
from tests.patience import until

GO_LIVE = date(2026, 3, 2)
NOW = datetime(2026, 3, 30, tzinfo=UTC)
CANARY = "canary"
ANNA, HUB, MAIL = f"anna-{CANARY}", f"hub-{CANARY}", f"anna@{CANARY}.example"
"""A person, another key of hers, and her e-mail, by which a third is recognised."""
OTHERS = ["bo", "cy", "dee", "eve", "fay"]
FOREVER = Periods(10**5, 10**5, 10**5, 10**5)


def entry(team: str) -> Entry:
    return Entry([Spell(date(1, 1, 1), None, team, "sales")], date(2026, 1, 1), None)


class House:
    """Two tenants with the same people and work; Anna is only in ``acme``."""

    def __init__(self, pool: Pool, broker: Broker, database: str) -> None:
        self.pool, self.broker = pool, broker
        self.keeper = Keeper(pool, database, broker.address, SHARDS, lambda: NOW, FOREVER)
        self.logs = {"acme": Log(), "rest": Log()}
        self.shards: list[Shard] = []


@pytest.fixture
async def house(pool: Pool, tansu: Broker, database: str) -> AsyncIterator[House]:
    made = House(pool, tansu, database)
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    for tenant in ("acme", "rest"):
        await add_tenant(pool, tenant, clock="wall", day_counting="calendar", min_group=1)
        for number, user in enumerate(OTHERS):
            await enter(pool, user, entry("AB"[number % 2]), SHARDS, tenant)
        await pool.execute(
            """insert into wave (tenant, id, name, go_live, scope, sponsor) values ($1, 'w', 'Wave', $2, '{}', 'bo'),
               ($1, 'v', 'Named', $2, $3, null)""",
            tenant,
            GO_LIVE,
            {"people": ["bo", *([ANNA] if tenant == "acme" else [])]},
        )
    await enter(pool, ANNA, entry("A"), SHARDS)
    await pool.execute("update person set name = $1, email = $2 where user_id = $3", f"Anna {CANARY}", MAIL, ANNA)
    await pool.execute("update membership set manager = $1 where user_id = 'bo' and tenant = 'acme'", ANNA)
    await pool.execute(
        "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, $2, 'test')", HUB, ANNA
    )
    await pool.execute("insert into absence (tenant, user_id, first, last) values ('acme', $1, $2, $2)", ANNA, GO_LIVE)
    await pool.execute(
        "insert into api_key (id, tenant, secret_hash, scopes, person) values ('k', 'acme', '\\x00', '{read}', $1)",
        ANNA,
    )
    await pool.execute(
        "insert into access_log (tenant, key_id, route, subject) values ('acme', 'k', '/v1/people', $1)", ANNA
    )
    await tell(pool)
    tenants = Tenants()
    made.shards = [await own(pool, number, tenants) for number in range(SHARDS)]
    yield made
    await made.keeper.leave()


async def tell(pool: Pool) -> None:
    """Let deliveries name Anna: to her, about her, and beside others; sent and not."""
    await pool.execute(
        """insert into subscription (tenant, id, kind, name, key_id, person)
           select 'acme', n, 'webhook', n, 'k', case n when 'hers' then $1 end from unnest(array['hers', 'ours']) n""",
        ANNA,
    )
    await pool.execute(
        """insert into contact (tenant, role, address, kind)
           values ('acme', 'sponsor', $1, 'person'), ('acme', 'data_owner', $2, 'email')""",
        *(ANNA, MAIL.upper()),
    )
    about = {"data": {"alert": {"subject": {"kind": "user", "key": ANNA}, "title": f"{ANNA} is not there"}}}
    beside = {"data": {"alert": {"subject": {"kind": "wave", "key": "w"}, "evidence": {"people": ["bo", ANNA]}}}}
    for number, (recipient, body, state) in enumerate(
        [(ANNA, {}, "delivered"), ("", about, "waiting"), ("", beside, "waiting"), ("", beside, "delivered"),
         ("bo", {"text": f"Bo, {ANNA.title()} is not there."}, "delivered"), ("bo", {"text": "All are."}, "delivered")]
    ):  # fmt: skip
        await pool.execute(
            """insert into delivery (tenant, subscription, message, kind, recipient, body, state, began_at, due_at)
               values ('acme', 'ours', $1, 'change', $2, $3, $4, now(), now())""",
            *(f"m{number}", recipient, body, state),
        )


def acts(rng: random.Random, count: int = 160) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield who did what: everybody's work, in which others name Anna too."""
    for number in range(count):
        user = rng.choice([*OTHERS, ANNA, HUB, f"x-{CANARY}"])
        at = datetime(2026, 2, 20, tzinfo=UTC) + timedelta(minutes=rng.randrange(60 * 24 * 36))
        if is_anna(user) and timedelta(0) <= at.date() - GO_LIVE < timedelta(days=6):
            at += timedelta(days=6)  # late enough to be told of
        more: dict[str, Any] = {"origin": "ui", "environment": "production"}
        if user == f"x-{CANARY}":
            more["email"] = MAIL
        if rng.random() < 0.4:
            owner = rng.choice([*OTHERS, ANNA])
            more |= {"object": "opportunity", "record": f"r{rng.randrange(9)}", "owner": owner}
        elif rng.random() < 0.05:
            more["on_behalf_of"] = ANNA
        elif rng.random() < 0.2:
            more |= {"object": "systemuser", "record": rng.choice([ANNA, HUB.upper()])}
        yield user, event(number, user, at, rng.choice(["crm.record.updated", "crm.session.login"]), **more)


def is_anna(user: str) -> bool:
    return CANARY in user.lower()


async def fold(house: House, tenant: str, events: list[dict[str, Any]]) -> None:
    log = Log()
    for each in events:
        record = _record(tenant, each)
        entries = log.records[_home(record.key)]
        entries.append(Numbered(len(entries), 1_780_000_000_000, record.key, record.value))
    for shard in house.shards:
        if mine := log.records[shard.number]:
            start = shard.held.next_offset
            await shard.fold(house.pool, [_at(each, start + n) for n, each in enumerate(mine)], NOW)


def _record(tenant: str, given: dict[str, Any]) -> Any:
    return encode(tenant, given)


def _home(key: bytes) -> int:
    return shard_of(key, SHARDS)


def _at(record: Numbered, offset: int) -> Numbered:
    return Numbered(offset, record.timestamp, record.key, record.value)


async def settle(house: House) -> None:
    """Let everybody do what is theirs, until nothing waits."""
    await settled(house.pool, house.shards)
    await measurer(house.pool, now=NOW).measure("acme", NOW)
    await measurer(house.pool, now=NOW).measure("rest", NOW)
    for tenant in ("acme", "rest"):
        await evaluator(house.pool).evaluate(tenant, NOW)


async def ask(house: House, mode: str, user: str = ANNA) -> int:
    async with transaction(house.pool) as tx:
        await erasures.alone(tx, "acme")
        return await erasures.ask(tx, "acme", user, mode=mode, actor="k", shards=SHARDS)


async def finished(house: House, number: int) -> dict[str, Any]:
    for _ in range(5):
        await house.keeper.close_erasures()
        await settle(house)
    row = await house.pool.fetchrow("select finished_at, report from erasure where id = $1", number)
    assert row["finished_at"] is not None, await named(house.pool)
    report: dict[str, Any] = row["report"]
    return report


async def named(pool: Pool) -> dict[str, int]:
    """Return by table how many rows name Anna in any column."""
    tables = await pool.fetch(
        """select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition"""
    )
    found = {}
    for row in tables:
        table = row["relname"]
        naming = f"t::text ilike '%{CANARY}%' or t::text like '%{CANARY.encode().hex()}%'"
        sql = f"select count(*) from {table} t where {naming}"
        if number := await pool.fetchval(sql):
            found[table] = number
    return found


async def windows(pool: Pool, tenant: str, *, revisions: bool = False) -> dict[Any, Any]:
    """Return the value of every window row by row, running sums over days."""
    more = ", sum(revision)" if revisions else ""
    rows = await pool.fetch(
        f"""select dimension, key, days, day, sum(licensed), sum(active), sum(logged_in), sum(actions),
            sum(active_user_days){more} from window_delta where tenant = $1 group by 1, 2, 3, 4""",
        tenant,
    )
    return {tuple(row)[:4]: tuple(row)[4:] for row in rows if any(tuple(row)[4:])}


async def numbers(pool: Pool, tenant: str, *, revisions: bool = False) -> dict[Any, Any]:
    more = ", revision" if revisions else ""
    rows = await pool.fetch(
        f"select dimension, key, metric, day, num, den{more} from metric_cell where tenant = $1", tenant
    )
    return {tuple(row)[:4]: tuple(row)[4:] for row in rows if row["num"] or row["den"]}


async def test_an_erased_person_leaves_what_would_be_there_had_they_never_come(house: House) -> None:
    done = list(acts(random.Random(1)))
    await fold(house, "acme", [each for _, each in done])
    await settle(house)
    assert set(await named(house.pool)) >= {"activity", "person_day", "identity_day", "alert", "contribution", "career"}

    number = await ask(house, "erase")
    await settle(house)
    report = await finished(house, number)

    def without(given: dict[str, Any]) -> dict[str, Any]:
        data = given["data"]
        told = {name: told for name, told in data.items() if not (name in ("owner", "record") and is_anna(told))}
        told |= {"on_behalf_of": "x"} if "on_behalf_of" in told else {}
        return {**given, "data": told}

    await fold(house, "rest", [without(each) for user, each in done if not is_anna(user)])
    await settle(house)
    assert await named(house.pool) == {}
    assert await windows(house.pool, "acme") == await windows(house.pool, "rest")
    assert await numbers(house.pool, "acme") == await numbers(house.pool, "rest")
    assert (report["identities"], report["tombstones"], report["left"]) == (3, 3, 0)
    assert report["tables"]["person"] == 1
    assert report["tables"]["activity"] >= sum(is_anna(user) for user, _ in done)
    assert await house.pool.fetchval("select coalesce(sum(unmapped), 0) from tally where tenant = 'acme'") == 0
    assert await house.pool.fetchval("select count(*) from erasing") == 0
    scope, key = await house.pool.fetchrow(
        "select (select scope from wave where tenant = 'acme' and id = 'v'), (select revoked_at from api_key)"
    )
    assert len(scope["people"]) == 2
    assert key is not None
    kept = await house.pool.fetch("select message, state, body from delivery order by 1")
    assert [tuple(row) for row in kept] == [
        ("m2", "withdrawn", {}),
        ("m3", "delivered", {}),
        ("m4", "delivered", {}),
        ("m5", "delivered", {"text": "All are."}),
    ]


async def test_an_anonymous_person_counts_as_before(house: House) -> None:
    await fold(house, "acme", [each for _, each in acts(random.Random(2))])
    await settle(house)
    before = await windows(house.pool, "acme", revisions=True), await numbers(house.pool, "acme", revisions=True)
    alerts = await house.pool.fetch(
        "select rule, state, opened_at, revision from alert where tenant = 'acme' order by 1, 3"
    )

    number = await ask(house, "anonymise")
    await settle(house)
    report = await finished(house, number)

    assert await named(house.pool) == {}
    assert (
        await windows(house.pool, "acme", revisions=True),
        await numbers(house.pool, "acme", revisions=True),
    ) == before
    told = await house.pool.fetch(
        "select rule, state, opened_at, revision from alert where tenant = 'acme' order by 1, 3"
    )
    lost = [row for row in told if row["rule"] == "sponsor-absent"]
    assert len(lost) == 1, "nobody can be called who was to be called for the sponsors"
    assert [tuple(row)[:3] for row in told if row not in lost] == [tuple(row)[:3] for row in alerts]
    assert report["tables"]["person_day"] > 0
    (row,) = await house.pool.fetch("select user_id, name, email from person where user_id like 'anonymous-%'")
    assert (row["name"], row["email"]) == (None, None)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mode", ["erase", "anonymise"])
async def test_whatever_is_under_way_nobody_comes_back(house: House, mode: str, seed: int) -> None:
    rng = random.Random(seed)
    done = list(acts(rng))
    cuts = sorted(rng.sample(range(1, len(done)), 4))
    number, steps = None, list(zip([0, *cuts], [*cuts, len(done)], strict=True))
    asked = rng.randrange(1, len(steps))
    for place, (low, high) in enumerate(steps):
        if place == asked:
            number = await ask(house, mode)
        await fold(house, "acme", [each for _, each in done[low:high]])
        if rng.random() < 0.5:
            await rng.choice(house.shards).follow_directory(house.pool, NOW)
        if rng.random() < 0.3:
            await measurer(house.pool, now=NOW).measure("acme", NOW)
    assert number is not None
    await settle(house)
    await finished(house, number)
    assert await named(house.pool) == {}

    again = [{**each, "id": f"again-{each['id']}"} for _, each in done]
    await fold(house, "acme", [each for _, each in done])
    await fold(house, "acme", again)
    await settle(house)
    assert await named(house.pool) == {}


async def test_nobody_waits_for_an_erased_manager_to_look_at_their_records(house: House) -> None:
    at, more = datetime(2026, 3, 3, 9, tzinfo=UTC), {"object": "opportunity", "record": "r1", "owner": "bo"}
    await fold(house, "acme", [event(1, "bo", at, "crm.record.created", origin="ui", **more)])
    await settle(house)
    asked = "select coalesce(sum(den), 0) from metric_cell where tenant = 'acme' and metric = 'M18'"
    assert await house.pool.fetchval(asked) > 0

    number = await ask(house, "erase")
    await settle(house)
    await finished(house, number)

    assert await house.pool.fetchval(asked) == 0


async def test_who_is_entered_again_is_taken_out_again(house: House) -> None:
    await fold(house, "acme", [each for _, each in acts(random.Random(3), 60)])
    await settle(house)
    number = await ask(house, "erase")
    await settle(house)
    await finished(house, number)

    await enter(house.pool, ANNA, entry("A"), SHARDS)
    await settle(house)

    assert await named(house.pool) == {}
    assert await windows(house.pool, "acme") != {}


async def test_a_tombstone_stands_on_the_log_and_counts_nowhere(house: House) -> None:
    await fold(house, "acme", [each for _, each in acts(random.Random(4), 30)])
    await settle(house)
    number = await ask(house, "erase")
    await settle(house)
    await finished(house, number)

    follower = Follower(house.broker.address, "uptake.events.v1", client_id="test")
    partitions = await follower.start()
    for partition in partitions:
        follower.seek(partition, 0)
    found = await until(lambda: follower.poll(wait_ms=2000, max_records=100))
    await follower.stop()
    graves = [record for records in found.values() for record in records]
    before = await house.pool.fetchval("select sum(folded) from tally")
    for shard in house.shards:
        mine = [record for record in graves if _home(record.key) == shard.number]
        buried = [
            Numbered(shard.held.next_offset + n, each.timestamp, each.key, each.value) for n, each in enumerate(mine)
        ]
        if buried:
            await shard.fold(house.pool, buried, NOW)

    assert {record.key for record in graves} <= {person_key("acme", name) for name in (ANNA, HUB, f"x-{CANARY}")}
    assert graves
    assert all(record.value is None for record in graves)
    assert await house.pool.fetchval("select sum(folded) from tally") == before
    assert await house.pool.fetchval("select count(*) from dead_letter") == 0


@pytest.mark.parametrize("mode", ["erase", "anonymise"])
async def test_the_record_of_a_person_goes_with_them_and_one_that_only_has_their_number_stays(
    house: House, mode: str
) -> None:
    await enter(house.pool, "4711", entry("A"), SHARDS)
    house_of = "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, '4711', 'test')"
    await house.pool.execute(house_of, f"guid-{CANARY}")
    at = datetime(2026, 3, 3, 9, tzinfo=UTC)
    for number, (noun, record) in enumerate(
        [("res.users", "4711"), ("opportunity", "4711"), ("contact", f"GUID-{CANARY}".upper()), ("contact", "other")]
    ):
        more = {"object": noun, "record": record, "origin": "ui", "owner": "bo"}
        await fold(house, "acme", [event(number, "bo", at, "crm.record.created", **more)])
    await settle(house)
    await house.pool.execute(
        "insert into record_base (tenant, object, record, as_of, state) values ('acme', 'contact', $1, $2, '{}')",
        f"guid-{CANARY}",
        at,
    )
    kept = "select object, record from record_change where tenant = 'acme' order by 1, 2"
    assert len(await house.pool.fetch(kept)) == 4

    number = await ask(house, mode, "4711")
    await settle(house)
    report = await finished(house, number)

    stand_in = await house.pool.fetchval("select user_id from person where user_id like 'anonymous-%'")
    found = [tuple(row) for row in await house.pool.fetch(kept)]
    own = [] if mode == "erase" else [("contact", stand_in), ("res.users", stand_in)]
    assert found == sorted([("contact", "other"), ("opportunity", "4711"), *own])
    assert report["tables"]["record_change"] >= 2
    acts = await house.pool.fetch("select object, record from activity where user_id = 'bo' order by 1, 2")
    assert [tuple(row) for row in acts] == (
        [("contact", "other"), ("contact", None), ("opportunity", "4711"), ("res.users", None)]
        if mode == "erase"
        else [("contact", stand_in), ("contact", "other"), ("opportunity", "4711"), ("res.users", stand_in)]
    )
    subjects = await house.pool.fetch("select distinct subject from contribution where kind = 'record'")
    assert {row["subject"] for row in subjects} >= {"contact\tother", "opportunity\t4711"}
    assert not [row for row in subjects if CANARY in row["subject"].lower()]
    assert await house.pool.fetchval("select count(*) from record_base where record ilike '%canary%'") == 0


@pytest.mark.parametrize("user", ["A", "sponsor", "value"])
async def test_who_is_called_like_a_team_a_role_or_a_word_of_the_form_takes_nothing_else_along(
    house: House, user: str
) -> None:
    await enter(house.pool, user, entry("A"), SHARDS)
    late = datetime(2026, 3, 20, tzinfo=UTC)
    await fold(house, "acme", [event(1, "bo", late, owner=user, object="opportunity", record="r1")])
    await settle(house)
    told = await house.pool.fetch("select body from alert_change where tenant = 'acme'")
    assert {"A"} <= {team["team"] for row in told for team in row["body"]["evidence"].get("worst_teams", ())}
    await house.pool.execute(
        "insert into record_base (tenant, object, record, as_of, state) values ('acme', 'opportunity', 'r9', $1, $2)",
        late,
        {"owner": user, "stage": user, "outcome": "open", "alive": True, "fields": {user: ["filled"]}},
    )

    number = await ask(house, "erase", user)
    await settle(house)
    await finished(house, number)

    bodies = [row["body"] for row in await house.pool.fetch("select body from alert_change where tenant = 'acme'")]
    assert user not in {body["subject"]["key"] for body in bodies if body["subject"]["kind"] == "user"}
    assert {heard["role"] for body in bodies for heard in body["audience"]} >= {"sponsor"}
    assert {"A"} <= {team["team"] for body in bodies for team in body["evidence"].get("worst_teams", ())}
    (state,) = await house.pool.fetchrow("select state from record_base where record = 'r9'")
    assert (state["owner"] == user, state["stage"], list(state["fields"])) == (False, user, [user])


@pytest.mark.parametrize("mode", ["erase", "anonymise"])
async def test_nobody_may_be_them_and_no_letter_of_others_names_them(house: House, mode: str) -> None:
    await house.pool.execute("update person set email = $1 where user_id = 'bo' and tenant = 'acme'", MAIL)
    await enter(house.pool, "bo", entry("A"), SHARDS)
    await fold(house, "acme", [event(1, "shared", datetime(2026, 3, 3, tzinfo=UTC), email=MAIL)])
    await settle(house)
    (link,) = await house.pool.fetch("select candidates from person_link where identity = 'shared'")
    assert link["candidates"] == [ANNA, "bo"]
    await house.pool.execute(
        """insert into dead_letter (tenant, shard, log_offset, key, value, reason)
           values ('acme', 0, 1, $1, $2, 'has no id')""",
        person_key("acme", "bo"),
        f'{{"data": {{"user": "bo", "owner": "{ANNA}"}}}}'.encode(),
    )

    boss = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    for user, told in {"bo": "7a", "cy": ANNA.upper(), "dee": "other"}.items():
        said = {"title": "Rep", boss: {"department": "N", "manager": {"value": told, "displayName": f"Anna {CANARY}"}}}
        said[boss]["manager"] |= {} if told != "other" else {"displayName": "Eve"}
        await house.pool.execute("update person set scim = $2 where tenant = 'acme' and user_id = $1", user, said)
    await house.pool.execute("update person set scim_id = '7a' where user_id = $1", ANNA)

    number = await ask(house, mode)
    await settle(house)
    report = await finished(house, number)

    await house.pool.execute("update person set email = null where user_id = 'bo'")
    assert await named(house.pool) == {}
    assert report["tables"]["dead_letter"] == 1
    said = {row["user_id"]: row["scim"] for row in await house.pool.fetch("select user_id, scim from person")}
    assert said["bo"] == {"title": "Rep", boss: {"department": "N"}}
    assert said["dee"][boss]["manager"] == {"value": "other", "displayName": "Eve"}
