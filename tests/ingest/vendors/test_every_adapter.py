"""The laws that every adapter keeps, whatever it is fed: run over the published payloads of all of them."""

import importlib
import json
import string
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import ORIGINS, decode, encode
from schemas.fields import DEFAULT
from schemas.sources import KINDS, Source
from services.ingest.judging import judge
from services.ingest.normalise import normalise
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import Delivery, MalformedError
from tests.ingest.deliveries import taken

Make = Callable[[Callable[[], str]], list[tuple[Source, Delivery]]]

MAKERS: dict[str, Make] = {
    file.stem.removeprefix("samples_"): importlib.import_module(f"tests.ingest.vendors.{file.stem}").deliveries
    for file in sorted(Path(__file__).parent.glob("samples_*.py"))
}
EVERY = pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
MARK = "zq"
TEXTS = st.text(string.ascii_letters + string.digits + " äß\"'<>&\\%/+=\n", min_size=4, max_size=40).map(
    lambda text: f"{MARK}{text}{MARK}"
)


def plain() -> str:
    return "some text"


def test_every_kind_has_an_adapter_and_payloads() -> None:
    samples = {source.kind for maker in MAKERS.values() for source, _ in maker(plain)}

    assert VENDORS.keys() == KINDS.keys()
    assert samples == KINDS.keys()


@EVERY
def test_what_was_published_is_verified_and_becomes_events(maker: Make) -> None:
    events = 0
    for source, delivery in maker(plain):
        assert VENDORS[source.kind].verify(source, delivery)
        found, bad = taken(source, delivery)
        events += len(found)

        assert not bad
        assert all(event["data"]["origin"] in ORIGINS for event in found)
        assert all(event["data"]["origin_confidence"] in {"stated", "inferred", "none"} for event in found)

    assert events


@EVERY
@given(data=st.data())
@settings(max_examples=25)
def test_no_text_of_a_field_reaches_the_log(maker: Make, data: st.DataObject) -> None:
    texts: list[str] = []

    def text() -> str:
        texts.append(data.draw(TEXTS))
        return texts[-1]

    deliveries = maker(text)
    for source, delivery in deliveries:
        reading = VENDORS[source.kind].parse(source, delivery, DEFAULT)
        records, bad = judge(source, reading, delivery.received_at)
        written = repr(records) + repr(bad) + "".join(record.value.decode() for record in records)

        assert MARK not in written


@EVERY
def test_the_same_delivery_gives_the_same_events_whenever_it_comes(maker: Make) -> None:
    for source, delivery in maker(plain):
        later = msgspec.structs.replace(delivery, received_at=delivery.received_at + timedelta(seconds=7))
        first, again = taken(source, delivery)[0], taken(source, later)[0]

        assert [event["id"] for event in first] == [event["id"] for event in again]


@EVERY
def test_no_other_secret_opens(maker: Make) -> None:
    for source, delivery in maker(plain):
        for wrong in ((), ("",), ("another-secret-entirely",), ("whsec_" + "QUJD" * 8,)):
            stranger = Source(source.id, source.tenant, source.kind, wrong, source.options)

            assert not VENDORS[source.kind].verify(stranger, delivery)


def _changed(value: Any, data: st.DataObject) -> Any:
    """Return ``value`` (decoded JSON) with one thing in it replaced, dropped or doubled."""
    junk = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.just([]),
        st.just({}),
        st.just([[]]),
    )
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: _changed(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], _changed(value[place], data), *value[place + 1 :]]
    return data.draw(junk)


def _bodies(delivery: Delivery, data: st.DataObject) -> Iterator[bytes]:
    body = delivery.body
    place = data.draw(st.integers(0, max(0, len(body) - 1)))
    yield body[:place]
    yield body[:place] + data.draw(st.binary(min_size=1, max_size=4)) + body[place + 1 :]
    try:
        yield json.dumps(_changed(json.loads(body), data)).encode()
    except ValueError:
        yield body + body


def _as_sent(made: dict[str, Any]) -> dict[str, Any]:
    """Return an event of an adapter as it would stand in a body: its time is text, its states are any values."""
    sent: dict[str, Any] = json.loads(json.dumps(made, default=datetime.isoformat))
    return sent


@EVERY
@given(data=st.data())
@settings(max_examples=40)
def test_what_an_adapter_made_is_judged_like_the_same_event_in_a_body(maker: Make, data: st.DataObject) -> None:
    source, delivery = data.draw(st.sampled_from(maker(plain)))
    for body in (delivery.body, *_bodies(delivery, data)):
        spoiled = msgspec.structs.replace(delivery, body=body)
        try:
            events = VENDORS[source.kind].parse(source, spoiled, DEFAULT).events
        except MalformedError:
            continue
        for made in events:
            short, long = normalise(made, spoiled.received_at), normalise(_as_sent(made), spoiled.received_at)

            assert short == long
            if isinstance(short, dict) and isinstance(long, dict):
                assert encode(source.tenant, short) == encode(source.tenant, long)


@EVERY
@given(data=st.data())
@settings(max_examples=60)
def test_nothing_that_is_sent_makes_an_adapter_stumble(maker: Make, data: st.DataObject) -> None:
    source, delivery = data.draw(st.sampled_from(maker(plain)))
    vendor = VENDORS[source.kind]
    for body in _bodies(delivery, data):
        spoiled = msgspec.structs.replace(delivery, body=body)
        vendor.verify(source, spoiled)
        if vendor.key_of is not None:
            vendor.key_of(spoiled)
        if vendor.scrub is not None:
            vendor.scrub(body)
        try:
            reading = vendor.parse(source, spoiled, DEFAULT)
        except MalformedError:
            continue
        for record in judge(source, reading, spoiled.received_at)[0]:
            decode(record.value)
