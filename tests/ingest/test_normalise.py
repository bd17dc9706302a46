import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import decode, encode
from services.ingest.normalise import Rejection, States, normalise

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BASE: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "crm.record.updated"}


def norm(**changes: Any) -> dict[str, Any] | Rejection:
    return normalise({**BASE, **changes}, NOW)


def taken(**changes: Any) -> dict[str, Any]:
    event = norm(**changes)
    assert isinstance(event, dict), event
    return event


def kept(**data: Any) -> dict[str, Any]:
    result: dict[str, Any] = taken(data=data)["data"]
    return result


def pointer(**changes: Any) -> str:
    event = norm(**changes)
    assert isinstance(event, Rejection), event
    return event.pointer


# ---------------------------------------------------------------- the envelope


@pytest.mark.parametrize("name", ["id", "source", "type"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param(7, id="a number"),
        pytest.param(True, id="a truth value"),
        pytest.param("", id="empty"),
        pytest.param("x" * 8192, id="8 KiB"),
        pytest.param("a\x00b", id="with a NUL"),
        pytest.param("a\ud800b", id="with half a surrogate pair"),
        pytest.param(["x"], id="an array"),
        pytest.param({}, id="an object"),
    ],
)
def test_a_core_attribute_that_is_no_short_text_is_rejected_where_it_stands(name: str, value: object) -> None:
    assert pointer(**{name: value}) == f"/{name}"


def test_a_missing_core_attribute_is_rejected_where_it_should_stand() -> None:
    for name in ("id", "source", "type", "specversion"):
        event = normalise({key: value for key, value in BASE.items() if key != name}, NOW)

        assert isinstance(event, Rejection)
        assert event.pointer == f"/{name}"


@pytest.mark.parametrize("version", ["0.3", "1.1", 1.0, 1, "", None, True])
def test_only_version_1_0_is_understood(version: object) -> None:
    assert pointer(specversion=version) == "/specversion"


def test_a_rejection_names_the_event_where_it_can_be_named() -> None:
    assert norm(time="x") == Rejection("/time", "must be an RFC 3339 date-time with an offset", "1")
    assert norm(id="a\x00") == Rejection("/id", "holds a NUL or half a surrogate pair", None)


def test_unusual_but_honest_text_is_kept_as_it_is() -> None:
    for text in ("' or 1=1 --", "../../etc", "😀", "\u202eabc", "e\u0301", "\u00e9", " padded ", "a\nb", "a.b"):
        assert taken(id=text)["id"] == text
        assert kept(user=text)["user"] == text


def test_extension_attributes_are_kept_when_cloudevents_allows_them() -> None:
    event = taken(subject="deal/1", traceparent="00-ab", sequence=7, sampled=True, dataschema="https://x/y")

    assert event["subject"] == "deal/1"
    assert (event["traceparent"], event["sequence"], event["sampled"]) == ("00-ab", 7, True)
    assert event["dataschema"] == "https://x/y"


def test_what_is_no_extension_attribute_is_dropped_without_an_error() -> None:
    odd = {"Upper": "x", "with_line": "x", "x" * 65: "x", "nested": {"a": 1}, "listed": [1], "long": "x" * 1025}
    odd |= {"nul": "a\x00", "huge": 1 << 63, "nothing": None, "datacontenttype": "application/json", "": "x"}

    assert taken(**odd) == {**BASE, "data": {}}


def test_a_tenant_from_outside_is_ignored() -> None:
    assert decode(encode("acme", taken(tenant="globex")).value).tenant == "acme"


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("given_time", "canonical"),
    [
        ("2026-03-02T09:30:00Z", "2026-03-02T09:30:00Z"),
        ("2026-03-02t09:30:00z", "2026-03-02T09:30:00Z"),
        ("2026-03-02 09:30:00Z", "2026-03-02T09:30:00Z"),
        ("2026-03-02T09:30:00.000Z", "2026-03-02T09:30:00Z"),
        ("2026-03-02T09:30:00.120Z", "2026-03-02T09:30:00.12Z"),
        ("2026-03-02T09:30:00.123456789Z", "2026-03-02T09:30:00.123456Z"),
        ("2026-03-02T09:30:00.9999999Z", "2026-03-02T09:30:00.999999Z"),
        ("2026-03-02T09:30:00+02:00", "2026-03-02T07:30:00Z"),
        ("2026-03-01T23:30:00.5-05:30", "2026-03-02T05:00:00.5Z"),
        ("2026-03-02T12:10:00Z", "2026-03-02T12:10:00Z"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        ("2026-03-02T23:00:00+14:00", "2026-03-02T09:00:00Z"),
        (None, None),
    ],
)
def test_an_instant_has_one_spelling_on_the_log(given_time: str | None, canonical: str | None) -> None:
    assert taken(time=given_time).get("time") == canonical


@pytest.mark.parametrize(
    "time",
    [
        pytest.param("2026-03-02T09:30:00", id="no offset"),
        pytest.param("2026-03-02", id="a date"),
        pytest.param("", id="empty"),
        pytest.param("0", id="zero"),
        pytest.param(0, id="a number"),
        pytest.param(1772443800, id="seconds since 1970"),
        pytest.param("1772443800", id="seconds since 1970 as text"),
        pytest.param("1772443800000", id="milliseconds since 1970 as text"),
        pytest.param("0001-01-01T00:00:00Z", id="year 1"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before year 1"),
        pytest.param("0000-01-01T00:00:00Z", id="year 0"),
        pytest.param("1969-12-31T23:59:59Z", id="1969"),
        pytest.param("1999-12-31T23:59:59.999999Z", id="a microsecond before 2000"),
        pytest.param("9999-12-31T23:59:60Z", id="a leap second in 9999"),
        pytest.param("9999-12-31T23:59:59-14:00", id="after year 9999"),
        pytest.param("10000-01-01T00:00:00Z", id="year 10000"),
        pytest.param("294276-12-31T23:59:59Z", id="year 294276"),
        pytest.param("infinity", id="infinity"),
        pytest.param("2026-03-02T09:30:00+25:00", id="an offset of 25 hours"),
        pytest.param("2025-02-30T09:30:00Z", id="30 February"),
        pytest.param("2026-03-01T24:00:00Z", id="24 o'clock"),
        pytest.param("2026-W10-1T09:30:00Z", id="a week date"),
        pytest.param("20260302T093000Z", id="basic format"),
        pytest.param("2026-03-02T09:30Z", id="no seconds"),
        pytest.param("2026-03-02T09:30:00,5Z", id="a decimal comma"),
        pytest.param("\uff12\uff10\uff12\uff16-03-02T09:30:00Z", id="digits of another script"),
        pytest.param("2026-03-02T09:30:00Z\n", id="a trailing newline"),
        pytest.param("2026-03-02T12:10:00.000001Z", id="more than ten minutes ahead"),
        pytest.param("2036-03-02T12:00:00Z", id="ten years ahead"),
        pytest.param("2026-03-02T09:30:00." + "9" * 100_000 + "Z", id="100,000 decimals"),
        pytest.param(True, id="a truth value"),
        pytest.param(["2026-03-02T09:30:00Z"], id="an array"),
    ],
)
def test_a_time_that_is_no_plausible_instant_is_rejected(time: object) -> None:
    assert pointer(time=time) == "/time"


@given(
    st.datetimes(datetime(1999, 12, 1), datetime(2026, 4, 1), timezones=st.timezones())  # noqa: DTZ001 - as it asks
)
def test_an_instant_that_was_read_already_is_judged_like_its_text(moment: datetime) -> None:
    if moment.isoformat()[-6] in "+-":  # offsets of old had seconds, which RFC 3339 cannot tell
        assert norm(time=moment) == norm(time=moment.isoformat())


def test_names_of_states_are_judged_like_those_of_values() -> None:
    assert kept(fields=States({"amount": "filled", "note": "empty"}))["fields"] == {"amount": "filled", "note": "empty"}
    assert pointer(data={"fields": States({"x\x00": "filled"})}) == "/data/fields/?"
    assert pointer(data={"fields": States({"x" * 257: "filled"})}).startswith("/data/fields/xxx")


# ---------------------------------------------------------------- the person and the known facts


@pytest.mark.parametrize("user", [None, ""])
def test_an_event_without_a_user_is_kept(user: object) -> None:
    assert kept(user=user) == {}


def test_a_numbered_user_is_text_on_the_log() -> None:
    assert kept(user=42) == {"user": "42"}


@pytest.mark.parametrize("user", [True, 1.5, [], {}, ["a"], 1 << 63, "x" * 257, "a\x00"])
def test_a_user_that_is_neither_text_nor_a_number_is_rejected(user: object) -> None:
    assert pointer(data={"user": user}) == "/data/user"


@pytest.mark.parametrize("data", ["text", 5, True, [], [{}]])
def test_data_that_is_no_object_is_rejected(data: object) -> None:
    assert pointer(data=data) == "/data"


def test_an_origin_that_is_not_listed_is_unknown() -> None:
    assert kept(origin="ui") == {"origin": "ui"}
    assert kept(origin="spaceship") == {"origin": "unknown"}
    assert kept(origin=None) == {}
    assert pointer(data={"origin": 5}) == "/data/origin"


def test_facts_that_the_contract_names_are_kept_by_their_type() -> None:
    facts = {"object": "deal", "record": "7", "owner": "bo", "stage": "won", "fields_required": 3, "fields_filled": 0}
    facts |= {"rows": 5, "automatic": False, "module": "m1", "method": "sso", "email": "a@b.c", "environment": "test"}

    assert kept(**facts) == facts
    assert kept(record=7, owner=8) == {"record": "7", "owner": "8"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("fields_required", value) for value in ("5", True, -1, 1.5, [], {}, 1 << 63)],
        *[("rows", value) for value in ("5", True, -1, [], {})],
        *[("automatic", value) for value in ("true", 1, 0, [], {})],
        *[("object", value) for value in (5, True, [], {}, "x" * 257, "a\x00")],
        *[("record", value) for value in (True, 1.5, [], {}, "x" * 257)],
        *[("fields", value) for value in ("x", 5, True, ["a"])],
        *[("environment", value) for value in (5, ["production"])],
    ],
)
def test_a_named_fact_of_another_type_is_rejected_where_it_stands(name: str, value: object) -> None:
    assert pointer(data={name: value}) == f"/data/{name}"


# ---------------------------------------------------------------- privacy


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("Call the buyer", "filled"),
        (0, "filled"),
        (False, "filled"),
        (["a"], "filled"),
        ({"a": 1}, "filled"),
        (None, "empty"),
        ("", "empty"),
        ("   ", "empty"),
        ([], "empty"),
        ({}, "empty"),
        *[(text, "placeholder") for text in ("n/a", "N/A", "Unknown", "-", " xxx ", "TBD", "none", "Test", ".")],
        *[(state, state) for state in ("filled", "empty", "placeholder", "default")],
        ("Filled", "filled"),
    ],
)
def test_a_field_value_becomes_its_state(value: object, state: str) -> None:
    assert kept(fields={"amount": value}) == {"fields": {"amount": state}}


def test_of_an_unnamed_attribute_only_its_name_numbers_and_truth_are_kept() -> None:
    data = {"note": "secret", "nested": {"a": "secret"}, "tags": ["secret"], "score": 4.5, "hot": True, "gone": None}

    assert kept(**data) == {
        "note": "filled",
        "nested": "filled",
        "tags": "filled",
        "gone": "empty",
        "score": 4.5,
        "hot": True,
    }


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1e300, float("inf"), float("nan")])
def test_a_number_beyond_64_bits_is_rejected_where_it_stands(number: float) -> None:
    assert pointer(data={"a/b~": number}) == "/data/a~1b~0"


@pytest.mark.parametrize("name", ["x" * 257, "a\x00b", "a\ud800"])
def test_a_name_that_cannot_be_kept_is_rejected(name: str) -> None:
    assert pointer(data={name: 1}).startswith("/data/")
    assert pointer(data={"fields": {name: 1}}).startswith("/data/fields/")


# ---------------------------------------------------------------- laws

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
names = st.sampled_from(["user", "fields", "object", "rows", "origin", "automatic", "record", "note"]) | st.text(
    max_size=8
)
envelopes = st.dictionaries(
    st.sampled_from([*BASE, "time", "data", "subject", "tenant", "x"]) | st.text(max_size=8), values, max_size=8
)
events = st.builds(
    lambda loose, data: {**BASE, **loose, "data": data},
    st.dictionaries(st.sampled_from(["time", "subject", "seq", "x1"]) | st.text(max_size=5), values, max_size=4),
    st.dictionaries(names, values, max_size=6),
)


@given(envelopes | events)
@settings(max_examples=150)
def test_whatever_json_says_it_is_an_event_that_can_be_encoded_or_a_rejection_that_can_be_told(
    raw: dict[str, Any],
) -> None:
    event = normalise(raw, NOW)

    if isinstance(event, Rejection):
        assert msgspec.json.encode(event)
    else:
        record = encode("acme", event)
        assert decode(record.value).id == event["id"]
        assert b"\\u0000" not in record.value


@given(events)
@settings(max_examples=150)
def test_a_normalised_event_normalises_to_itself(raw: dict[str, Any]) -> None:
    event = normalise(raw, NOW)
    if isinstance(event, dict):
        assert normalise(event, NOW) == event


@given(events, st.timedeltas(timedelta(0), timedelta(days=400)))
@settings(max_examples=150)
def test_a_copy_that_arrives_later_is_the_same_record(raw: dict[str, Any], later: timedelta) -> None:
    first = normalise(raw, NOW)
    if isinstance(first, dict):
        second = normalise(raw, NOW + later)
        assert isinstance(second, dict)
        assert encode("acme", first) == encode("acme", second)


secrets = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=6, max_size=30).map(
    lambda text: f"«{text}»"
)


@given(secrets, st.dictionaries(st.text("abc", min_size=1, max_size=5), st.integers(0, 3), min_size=1, max_size=5))
@settings(max_examples=150)
def test_no_text_in_the_place_of_a_value_reaches_the_log(secret: str, shape: dict[str, int]) -> None:
    forms: list[Any] = [secret, [secret], {"deep": [secret, {"er": secret}]}, {secret: 1}]
    data = {
        "user": "ada",
        "fields": {name: forms[form] for name, form in shape.items()},
        **{f"own_{name}": forms[form] for name, form in shape.items()},
        "origin": secret,
    }

    value = encode("acme", taken(data=data)).value

    assert secret not in value.decode()
    assert json.dumps(secret)[1:-1] not in value.decode()
