"""Standard Webhooks and Svix: whose signatures open, and what messages become."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import MalformedError
from services.ingest.vendors.signatures import standard, standard_key
from tests.ingest.deliveries import KEY, RECEIVED, delivery, taken, verified
from tests.ingest.vendors.samples_standard_webhooks import MESSAGE, saved, sender, signed

NEXT = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
LENGTHS = {length: base64.b64encode(bytes(range(1, length + 1))).decode() for length in (23, 24, 25, 31, 32, 64, 65)}


def told(body: Any, **options: Any) -> list[dict[str, Any]]:
    events, bad = taken(sender(**options), signed(body))
    assert not bad
    return events


def refused(body: Any, **options: Any) -> list[str]:
    """Return the pointers of what is bad."""
    return [bad.pointer for bad in taken(sender(**options), signed(body))[1]]


def with_headers(made: Any, **changes: str | None) -> Any:
    headers = {**made.headers, **{f"webhook-{name}": value for name, value in changes.items()}}
    return msgspec.structs.replace(made, headers={name: value for name, value in headers.items() if value is not None})


# Signatures


def test_the_published_vector_of_the_specification_opens() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)

    assert verified(sender(), delivery('{"test": 2432232314}', headers=headers, at=at))


@pytest.mark.parametrize("body", ["{}", '{"test": 2432232314}', '{"name":"Größe"}', "x" * 20_000], ids=len)
@pytest.mark.parametrize("secret", [KEY, NEXT, *(LENGTHS[n] for n in (24, 31, 32, 64))], ids=len)
def test_signatures_agree_with_the_official_library(secret: str, body: str) -> None:
    key = standard_key(secret)
    assert key is not None

    official = Webhook(secret).sign(MESSAGE, RECEIVED, body)
    assert official == f"v1,{standard(key, MESSAGE, str(int(RECEIVED.timestamp())), body.encode())}"


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
@pytest.mark.parametrize("secret", [KEY, KEY.removeprefix("whsec_"), f"whsec_{LENGTHS[25]}", f"whsec_{LENGTHS[32]}"])
def test_both_spellings_open_with_a_secret_however_it_is_written(prefix: str, secret: str) -> None:
    made = signed(saved(), secret=secret, prefix=prefix)

    assert verified(sender(secret), made)
    assert verified(sender(secret.rstrip("=")), made)
    assert verified(sender(NEXT, secret), made)
    assert not verified(sender(NEXT), made)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_====", LENGTHS[23], LENGTHS[65], "not base64 at all, but long enough", "whsec_é" * 8],
)
def test_an_empty_short_long_or_garbled_secret_opens_nothing(secret: str) -> None:
    assert standard_key(secret) is None
    assert not verified(sender(secret), signed(saved()))
    assert not verified(sender(secret), with_headers(signed(saved()), signature=f"v1,{standard(b'', '', '', b'')}"))


def test_one_good_signature_among_others_is_enough() -> None:
    old = "v1,MzJsNDk4MzI0K2VvdSMjMTEjQEBAQDEyMzMzMzEyMwo= v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzC v2,x "

    assert verified(sender(), signed(saved(), more=old))
    assert not verified(sender(), with_headers(signed(saved()), signature=old.strip()))


def test_signatures_of_other_versions_are_skipped() -> None:
    made = signed(saved())
    signature = made.headers["webhook-signature"].removeprefix("v1,")

    for other in (f"v1a,{signature}", f"v2,{signature}", signature, f",{signature}", f"V1,{signature}"):
        assert not verified(sender(), with_headers(made, signature=other))


def test_one_changed_byte_closes() -> None:
    made = signed(saved())
    signature = made.headers["webhook-signature"]

    for place in range(3, len(signature)):
        other = "A" if signature[place] != "A" else "B"
        spoiled = f"{signature[:place]}{other}{signature[place + 1 :]}"
        assert not verified(sender(), with_headers(made, signature=spoiled))
    assert not verified(sender(), msgspec.structs.replace(made, body=made.body + b" "))
    assert not verified(sender(), with_headers(made, id=f"{MESSAGE}x"))


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_every_header_must_be_there(name: str) -> None:
    made = signed(saved())

    assert not verified(sender(), with_headers(made, **{name: None}))
    assert not verified(sender(), with_headers(made, **{name: ""}))


@pytest.mark.parametrize(
    ("seconds", "opens"), [(0, True), (-300, True), (300, True), (-301, False), (301, False), (-86_400, False)]
)
def test_the_time_may_differ_by_five_minutes_either_way(seconds: int, opens: bool) -> None:  # noqa: FBT001 - a case
    assert verified(sender(), signed(saved(), at=RECEIVED + timedelta(seconds=seconds))) is opens


@pytest.mark.parametrize(
    "timestamp", ["NaN", "inf", "-1", "1e9", "1772452800.0", " 1772452800", "9" * 300, "\u0661\u0667"]
)
def test_a_time_that_is_no_number_closes_even_when_it_is_signed(timestamp: str) -> None:
    made = signed(saved())
    key = standard_key(KEY)
    assert key is not None
    signature = f"v1,{standard(key, MESSAGE, timestamp, made.body)}"

    assert not verified(sender(), with_headers(made, timestamp=timestamp, signature=signature))


def test_a_flood_of_signatures_is_read_only_so_far() -> None:
    made = signed(saved(), more="v1,x " * 10_000)

    assert not verified(sender(), made)


# Messages


def test_a_message_in_the_shape_of_the_contract_is_an_event_as_it_stands() -> None:
    [event] = told(saved(comment="quite private", size=3))

    assert event["type"] == "crm.record.updated"
    assert event["time"] == "2026-03-02T10:00:00.5Z"
    assert event["data"] == {
        "user": "u1",
        "origin": "ui",
        "origin_confidence": "stated",
        "environment": "production",
        "object": "opportunity",
        "record": "7",
        "stage": "won",
        "fields": {"amount": "filled", "dealstage": "filled", "note": "empty"},
        "comment": "filled",
        "size": 3,
    }


def test_the_identity_is_that_of_the_message_alone() -> None:
    first, changed = signed(saved()), signed(saved(record=8), at=RECEIVED + timedelta(seconds=9))
    other = signed(saved(), message="msg_other")

    assert len({event["id"] for event in taken(sender(), first, changed)[0]}) == 1
    assert len({event["id"] for event in taken(sender(), first, other)[0]}) == 2


def test_without_a_time_in_the_body_the_signature_tells_it() -> None:
    [event] = told({"type": "crm.session.login", "data": {"user": "u1"}})

    assert event["time"] == "2026-03-02T12:00:00Z"
    assert event["data"]["user"] == "u1"


def test_types_that_nobody_knows_are_kept_and_origins_that_nobody_knows_are_unknown() -> None:
    [event] = told({"type": "invoice.paid", "data": {"origin": "magic", "user": 12}})

    assert event["type"] == "invoice.paid"
    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == ("unknown", "none")
    assert event["data"]["user"] == "12"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/type"),
        ({"type": 1.5}, "/type"),
        ({"type": "Ann called, and said"}, "/type"),
        ({"type": []}, "/type"),
        ({"type": "a.b", "data": []}, "/data"),
        ({"type": "a.b", "data": "x"}, "/data"),
        ({"type": "a.b", "timestamp": "soon"}, "/timestamp"),
        ({"type": "a.b", "timestamp": {}}, "/timestamp"),
        ({"type": "a.b", "data": {"user": []}}, "/data/user"),
        ({"type": "a.b", "data": {"user": True}}, "/data/user"),
        ({"type": "a.b", "data": {"email": 1}}, "/data/email"),
        ({"type": "a.b", "data": {"rows": "many"}}, "/data/rows"),
        ({"type": "a.b", "data": {"bulk": 1}}, "/data/bulk"),
        ({"type": "a.b", "data": {"origin": {}}}, "/data/origin"),
        ({"type": "crm.record.updated", "data": {"fields": "x"}}, "/data/fields"),
        ({"type": "crm.record.updated", "data": {"close_date": "soon"}}, "/data/close_date"),
        ({"type": "crm.record.updated", "data": {"record": 2.5}}, "/data/record"),
    ],
)
def test_what_does_not_fit_is_pointed_at_and_never_repeated(body: Any, pointer: str) -> None:
    [bad] = taken(sender(), signed(body))[1]

    assert bad.pointer == pointer
    assert "soon" not in bad.reason
    assert "Ann" not in bad.reason


@pytest.mark.parametrize("body", ["", "{", "1", "null", '"x"', '{"type":NaN}'])
def test_a_body_that_holds_no_message_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        taken(sender(), signed(body))


def test_a_declared_mapping_goes_before_the_convention() -> None:
    mapping = {"id": "/data/change", "type": "/type", "user": "/data/by", "record": "/data/id", "object": "=contact"}
    types = {"contact.changed": "crm.record.updated", "contact.seen": ""}
    changed = {"type": "contact.changed", "data": {"change": 9, "by": 12, "id": "c7"}}

    [event] = told(changed, mapping=mapping, types=types)
    assert (event["data"]["user"], event["data"]["record"], event["data"]["object"]) == ("12", "c7", "contact")
    assert told({**changed, "type": "contact.seen"}, mapping=mapping, types=types) == []
    assert refused({**changed, "type": "contact.other"}, mapping=mapping, types=types) == ["/type"]


def test_answers_never_say_gone_and_name_whole_seconds() -> None:
    manners = VENDORS["standard-webhooks"].manners
    replies = [reply for reply in manners if isinstance(reply, tuple)]
    pauses = [value for reply in replies for name, value in reply.headers if name == b"retry-after"]

    assert manners.accepted.status == 202
    assert {reply.status for reply in replies} == {202, 400, 401, 413, 429, 503}
    assert pauses
    assert all(pause.isdigit() for pause in pauses)
