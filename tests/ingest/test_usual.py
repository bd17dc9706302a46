import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Record, encode
from services.ingest.decoding import MAX_EVENT, read_batch, salvage_batch
from services.ingest.normalise import normalise
from services.ingest.problems import RefusedError
from services.ingest.usual import records_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/crm",
    "type": "crm.record.updated",
    "time": "2026-03-02T09:30:00Z",
    "subject": "deal/1",
    "datacontenttype": "application/json",
    "data": {"user": "ada", "origin": "ui", "record": "7", "fields": {"amount": "1200", "note": "n/a"}, "rows": 3},
}


def careful(body: bytes) -> list[Record] | None:
    """Return what the careful road makes of ``body``; None where it rejects anything."""
    try:
        decoded = read_batch(body)
        events = [normalise(raw, NOW) for raw in (salvage_batch(body) if decoded is None else decoded)]  # type: ignore[arg-type]
    except (RefusedError, AttributeError):
        return None
    return [encode("acme", event) for event in events] if all(isinstance(event, dict) for event in events) else None


def short(body: bytes) -> list[Record] | None:
    return records_of(body, "acme", NOW, batch=True)


def test_the_usual_event_takes_the_short_road() -> None:
    body = json.dumps([EVENT, {**EVENT, "id": "e-2"}]).encode()

    assert short(body) == careful(body)
    assert records_of(json.dumps(EVENT).encode(), "acme", NOW, batch=False) == careful(body)[:1]  # type: ignore[index]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"id":"e-1",', id="an attribute twice"),
        pytest.param('{"id" :"e-1",', id="an attribute twice, once with a blank"),
        pytest.param('{"\\u0069d":"e-1",', id="an attribute twice, once escaped"),
        pytest.param(
            '{"dataschema":"a\\u003ab","id":"e-1",', id="an attribute twice, while an escape makes up for its colon"
        ),
        pytest.param('{"tenant":"globex",', id="a tenant from outside"),
        pytest.param('{"traceparent":"00",', id="an extension"),
        pytest.param('{"time":null,', id="a null"),
        pytest.param('{"data_base64":"e30=",', id="base64 data"),
    ],
)
def test_an_unusual_event_is_left_to_the_careful_road(text: str) -> None:
    body = "[" + json.dumps(EVENT).replace("{", text, 1) + "]"

    assert short(body.encode()) is None


def test_a_large_batch_is_usual_and_a_large_event_is_not() -> None:
    many = json.dumps([{**EVENT, "id": f"e-{number}"} for number in range(2500)]).encode()
    large = json.dumps([{**EVENT, "data": {"fields": {"a": "x" * MAX_EVENT}}}]).encode()

    assert len(many) > MAX_EVENT
    assert short(many) == careful(many)
    assert short(large) is None


usual_texts = st.sampled_from(
    ["ada", "ui", "n/a", " TBD ", "filled", "é", "a\\b", 'a":b', "a : b", "😀", "x" * 300, ""]
)
values = (
    usual_texts | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False) | st.just([]) | st.just({})
)
names = st.sampled_from(
    ["user", "origin", "fields", "rows", "automatic", "owner", "stage", "email", "own", "a b", 'q":']
)
data = st.dictionaries(names, values | st.dictionaries(names, values, max_size=3), max_size=5)
times = st.sampled_from([EVENT["time"], "2026-03-02T09:30:00.5Z", "2026-03-02T10:30:00+01:00", "2026-W10-1T09:30:00Z",
                         "2026-02-30T09:30:00Z", "2036-03-02T09:30:00Z", "1999-03-02T09:30:00Z", "2026-03-02t09:30:00z",
                         "2026-03-02T24:30:00Z", "2026-03-02T12:10:00Z", "2026-03-02T12:10:01Z", 5, None])  # fmt: skip
events = st.builds(
    lambda changes, data: {**EVENT, **changes, "data": data},
    st.fixed_dictionaries(
        {},
        optional={
            "id": usual_texts,
            "source": usual_texts,
            "type": usual_texts,
            "time": times,
            "subject": usual_texts | st.none(),
            "specversion": st.sampled_from(["1.0", "0.3"]),
            "datacontenttype": st.sampled_from(["application/json", "text/xml"]),
            "tenant": usual_texts,
            "sequence": st.integers(),
        },
    ),
    data,
)
layouts = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"separators": (" ,", " : ")},
                           {"ensure_ascii": False}])  # fmt: skip


@given(st.lists(events, max_size=3), layouts)
@settings(max_examples=150)
def test_what_the_short_road_takes_is_what_the_careful_road_makes(batch: list[dict[str, Any]], layout: Any) -> None:
    body = json.dumps(batch, **layout).encode()
    taken = short(body)

    assert taken is None or taken == careful(body)


@given(
    st.lists(events, min_size=1, max_size=2), st.sampled_from(["id", "type", "data", "user", "rows", "fields", "note"])
)
@settings(max_examples=150)
def test_a_key_that_stands_twice_never_takes_the_short_road(batch: list[dict[str, Any]], name: str) -> None:
    body = json.dumps(batch, separators=(",", ":")).replace("\u007f", "")
    place = body.find(f'"{name}":')
    if place >= 0:
        for again in (f'"{name}":"x",', f'"{name}" :"x",', f'"{name}"\n:"x",'):
            assert short((body[:place] + again + body[place:]).encode()) is None
