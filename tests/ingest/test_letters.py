"""Dead letters: one for each delivery that cannot be used, sealed, without credentials, and never in the way."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from schemas import letters
from schemas.fields import DEFAULT
from schemas.sources import Source
from schemas.topics import DEAD_LETTERS
from services import postgres, sealing
from services.embedded import Broker
from services.ingest.judging import judge
from services.ingest.letters import delivery_of, letter_of, record_of
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import Bad
from services.sealing import Seal
from tests.ingest.deliveries import RECEIVED, SECRET, delivery, source
from tests.ingest.service import ACME_HEADERS, Ingest, add_key, key, on_the_log
from tests.ingest.vendors.test_every_adapter import EVERY, Make
from tests.log import everything

SEAL = Seal(bytes(32))
TEXT = "Smith & Sons have phoned"


async def letters_of(bootstrap: str, seal: Seal) -> list[tuple[dict[str, str], letters.Letter, Any]]:
    """Return the letters on their topic: headers, what was sealed, and the record."""
    return [
        (
            {name: value.decode() for name, value in record.headers},
            letters.unpack(seal.open(record.value, letters.context(record.key.decode()))),
            record,
        )
        for record in await everything(bootstrap, DEAD_LETTERS)
    ]


async def seal_of_house(database: str) -> Seal:
    connection = await postgres.connect(database, name="tests")
    try:
        return await sealing.seal_of(connection, "")
    finally:
        await connection.close()


def test_a_letter_holds_no_credential_whatever_place_it_stood_in() -> None:
    origin = source("odoo", SECRET, "the-old-secret")
    sent = delivery(
        json.dumps({"note": TEXT, "token": SECRET, "again": f"x{SECRET}x"}),
        path=f"rule/{SECRET}/write",
        secret=SECRET,
        headers={
            "authorization": f"Bearer {SECRET}",
            "cookie": "session=1",
            "x-uptake-secret": "the-old-secret",
            "x-hubspot-signature-v3": "abc",
            "webhook-signature": "v1,abc",
            "content-type": "application/json",
            "webhook-id": "the-old-secret",
            "x-ms-dynamics-organization": "org",
            "x-forwarded-for": "10.0.0.1",
        },
        query=b"code=" + SECRET.encode(),
    )

    kept = letter_of(origin, sent, None)

    assert kept.headers == {
        "content-type": "application/json",
        "webhook-id": "[secret]",
        "webhook-signature": "[secret]",
        "x-ms-dynamics-organization": "org",
    }
    assert SECRET not in repr(kept)
    assert "the-old-secret" not in repr(kept)
    assert TEXT.encode() in kept.body
    assert kept.steps == ("rule", "[secret]", "write")


def test_what_its_kind_scrubs_is_gone_and_a_scrubber_that_fails_costs_nothing() -> None:
    sent = delivery(b'{"api_key": "phc_other"}')

    def fail(_: bytes) -> bytes:
        raise KeyError("api_key")

    assert letter_of(source("odoo"), sent, lambda body: body.replace(b"phc_other", b"")).body == b'{"api_key": ""}'
    assert letter_of(source("odoo"), sent, fail).body == sent.body


def test_the_same_delivery_is_the_same_letter_and_another_is_another() -> None:
    origin = source("odoo")

    def named(body: bytes, path: str = "rule/write", **more: Any) -> bytes:
        made = record_of(origin, letter_of(origin, delivery(body, path=path, **more), None), [Bad("", "x")], SEAL)
        return dict(made.headers)[letters.ID]

    again = named(b"{", at=RECEIVED.replace(hour=15), headers={"user-agent": "another"})

    assert named(b"{") == again
    assert len({named(b"{"), named(b"["), named(b"{", path="rule/create")}) == 3


def test_the_letters_of_a_source_whose_id_another_tenant_had_before_are_others() -> None:
    names = set()
    for tenant in ("acme", "globex"):
        origin = Source("crm", tenant, "odoo", (SECRET,))
        made = record_of(origin, letter_of(origin, delivery(b"{"), None), [Bad("", "x")], SEAL)
        names.add(dict(made.headers)[letters.ID])

    assert len(names) == 2


def test_a_letter_of_the_largest_body_that_is_text_fits_the_log() -> None:
    origin = source("odoo")
    text = json.dumps([{"name": f"Customer {number}", "note": TEXT * 3} for number in range(40_000)]).encode()
    made = record_of(origin, letter_of(origin, delivery(text), None), [Bad("/0", "x" * 5000)] * 1000, SEAL)

    assert len(text) > 4 << 20
    assert len(made.value) < letters.MOST_BYTES
    assert sum(len(value) for _, value in made.headers) < 10_000
    assert letters.unpack(SEAL.open(made.value, "letter/acme")).body == text


@EVERY
def test_a_letter_is_read_again_as_what_was_delivered_and_holds_no_secret(maker: Make) -> None:
    for origin, sent in maker(lambda: TEXT):
        vendor = VENDORS[origin.kind]
        kept = letter_of(origin, sent, vendor.scrub)
        before = judge(origin, vendor.parse(origin, sent, DEFAULT), sent.received_at)
        after = judge(origin, vendor.parse(origin, delivery_of(kept), DEFAULT), kept.received_at)

        assert after == before
        assert not any(secret in repr(kept) for secret in origin.secrets)


async def test_what_cannot_be_used_becomes_one_sealed_letter_before_its_sender_is_answered(
    house: Ingest, house_broker: Broker, house_database: str
) -> None:
    seal = await seal_of_house(house_database)
    path = f"odoo-letters/lead/write/{SECRET}"
    body = {"note": TEXT, "_model": 7}

    answers = [house.deliver(f"{path}?code={SECRET}", body).status_code for _ in range(3)]
    answers.append(house.deliver(f"odoo-letters/lead/write/not-{SECRET}", {"other": TEXT}).status_code)
    found = [it for it in await letters_of(house_broker.address, seal) if TEXT.encode() in it[1].body]

    assert answers == [400, 400, 400, 401]
    assert len(found) == 3
    assert len({headers["letter-id"] for headers, _, _ in found}) == 1
    headers, letter, record = found[0]
    assert (headers["source"], headers["kind"], record.key) == ("odoo-letters", "odoo", b"acme")
    assert json.loads(headers["reasons"]) == [{"pointer": "", "reason": "has no _model and _id"}]
    assert (letter.steps, json.loads(letter.body)) == (("lead", "write"), body)
    raw = record.value + b"".join(value for _, value in record.headers)
    assert b"Smith" not in raw
    assert b"phoned" not in raw
    assert SECRET.encode() not in raw
    assert "Smith" not in house.log


async def test_a_replay_reads_a_letter_again_and_twice_is_once(house: Ingest, house_broker: Broker) -> None:
    body = {"_model": "crm.lead", "_id": 991, "write_uid": 12, "name": TEXT}
    letter = {
        "id": "a-letter",
        "source": "odoo-letters",
        "steps": ["lead", "write"],
        "body_base64": base64.b64encode(json.dumps(body).encode()).decode(),
        "received_at": "2026-03-02T09:00:30Z",
    }
    foreign = {**letter, "id": "foreign", "source": "no-such-source"}
    bad = {**letter, "id": "bad", "body_base64": base64.b64encode(b"[]").decode()}
    untimely = [{**letter, "id": at, "received_at": at} for at in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z")]
    packed = gzip.compress(json.dumps({"letters": [letter, foreign, bad, *untimely]}).encode())

    sent = {**ACME_HEADERS, "content-encoding": "gzip"}
    async with httpx.AsyncClient(headers=sent) as client:
        answers = [await client.post(f"{house.url}/v1/replays", content=packed) for _ in range(2)]
    first, second = await on_the_log(house_broker.address, at_least=2, containing=b'"991"')

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["letters"] == [
        {"id": "a-letter", "accepted": 1, "bad": []},
        {"id": "foreign", "accepted": 0, "bad": [{"pointer": "", "reason": "there is no such source any more"}]},
        {"id": "bad", "accepted": 0, "bad": [{"pointer": "", "reason": "is not a JSON object"}]},
        *(
            {"id": it["id"], "accepted": 0, "bad": [{"pointer": "", "reason": "was not received at such a time"}]}
            for it in untimely
        ),
    ]
    assert answers[1].json() == answers[0].json()
    assert (first.key, first.value, first.timestamp) == (second.key, second.value, second.timestamp)
    assert datetime.fromtimestamp(first.timestamp / 1000, UTC) == datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC)


async def test_a_key_of_a_person_neither_sends_nor_replays(house: Ingest, house_database: str) -> None:
    bound = key("bound001")
    connection = await postgres.connect(house_database, name="tests")
    await add_key(connection, bound, tenant="acme", scopes=["read", "manage"])
    await connection.execute("update api_key set person = 'anna' where id = 'bound001'")
    await connection.close()
    sent = {"authorization": f"Bearer {bound}"}
    async with httpx.AsyncClient(headers=sent) as client:
        answer = await client.post(f"{house.url}/v1/replays", json={"letters": []})

    assert answer.status_code == 401


def test_a_replay_needs_a_key_and_a_body_that_can_be_read(house: Ingest) -> None:
    def ask(body: bytes, method: str = "POST", **headers: str) -> int:
        sent = {**ACME_HEADERS, **headers}
        return httpx.request(method, f"{house.url}/v1/replays", content=body, headers=sent).status_code

    good = msgspec.json.encode({"letters": []})
    late = {"id": "x", "source": "odoo-letters", "received_at": "2026-03-02T09:00:30"}

    assert ask(good) == 200
    assert ask(good, authorization=f"Bearer {key('nobody00')}") == 401
    assert ask(good, "GET") == 405
    assert [ask(body) for body in (b"", b"[]", b'{"letters": 1}', b'{"letters": [1]}', b"\xff" * 10)] == [400] * 5
    assert ask(json.dumps({"letters": [late]}).encode()) == 400
    assert ask(json.dumps({"letters": [{**late, "received_at": "2026-03-02T09:00:30Z"}] * 501}).encode()) == 400
    assert ask(good, **{"content-encoding": "gzip"}) == 400
    assert ask(good, **{"content-encoding": "br"}) == 415
