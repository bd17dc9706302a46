import asyncio
import json
import statistics
import time
from typing import Any

import httpx
import psutil
import pytest

from tests.ingest.service import ACME_HEADERS, SINGLE, Ingest, cloud_event, exchange, head
from tests.patience import until

BODY = json.dumps(cloud_event()).encode()
LENGTH = str(len(BODY))
END = b"\r\n"
GOOD = head(content_length=LENGTH) + END + BODY
CHUNKED = head(transfer_encoding="chunked") + END
LAST = GOOD.replace(b"host", b"connection: close\r\nhost")


def dripped(piece: bytes, pause: float) -> list[bytes | float]:
    return [part for _ in range(24) for part in (piece, pause)]


def lines(count: int, size: int = 10) -> bytes:
    return b"".join(b"x-%d: %s\r\n" % (number, b"v" * size) for number in range(count))


HEADS = [
    pytest.param([head() + b"x: " + b"v" * (64 << 10) + END + END], {431}, id="H1 a head of 64 KiB"),
    pytest.param([head() + b"x: " + b"v" * (1 << 20) + END + END], {431}, id="H2 a head of 1 MiB"),
    pytest.param([head() + lines(80, 100_000) + END], {431}, id="H3 a head of 8 MB in many fields"),
    pytest.param([head() + lines(5000) + END], {431}, id="H4 5,000 fields"),
    pytest.param([head() + lines(120) + END], {431}, id="H4b 120 fields in a small head"),
    pytest.param([head(path="/" + "x" * 70_000) + END], {414}, id="H5 a request line of 70 KB"),
    pytest.param([head(path="/" + "x" * 9_000) + END], {414}, id="H5b a request line of 9 KB"),
    pytest.param([head(content_length="209715200") + END], {413}, id="H11 a promise of 200 MB"),
    pytest.param([CHUNKED, *[b"10000\r\n" + b" " * 65536 + END] * 100], {413}, id="H12 chunks over the limit"),
    pytest.param([CHUNKED + b"1;" + b"e" * 100_000 + END + b" \r\n0\r\n\r\n"], {400, 413}, id="H13 a long extension"),
    pytest.param([CHUNKED, *[b"1;" + b"e" * 9000 + END + b" \r\n"] * 50], {400, 413}, id="H13b many extensions"),
    pytest.param([CHUNKED + b"1\r\n \r\n0\r\n" + lines(9000) + END], {400, 413, 431}, id="H13c endless trailers"),
    pytest.param([head(content_length="5", transfer_encoding="chunked") + END], {400}, id="H14 a length and chunks"),
    pytest.param([head(content_length="5") + b"content-length: 6\r\n\r\n"], {400}, id="H15 two lengths"),
    pytest.param([head(content_length="-1") + END], {400}, id="H16 a negative length"),
    pytest.param([head(content_length="+5") + END], {400}, id="H17 a length with a sign"),
    pytest.param([head(content_length="9" * 23) + END], {400, 413}, id="H18 a length beyond all numbers"),
    pytest.param([head(content_length="9" * 18) + END], {413}, id="H18b a length of 18 digits"),
    pytest.param([head(transfer_encoding="xchunked") + END], {400}, id="H19 an unknown transfer encoding"),
    pytest.param([CHUNKED + b"zz\r\n"], {400}, id="H20 a chunk size that is no number"),
    pytest.param([head(host="", content_length=LENGTH) + END + BODY], {400}, id="H21 no host"),
    pytest.param([head(content_length=LENGTH) + b"host: y\r\n\r\n" + BODY], {400}, id="H22 two hosts"),
    pytest.param([GOOD.replace(END, b"\n")], {400}, id="H23 bare line feeds"),
    pytest.param([head() + b"x: a\r\n b\r\n\r\n"], {400}, id="H24 a folded field"),
    pytest.param([head() + b"x: a\x00b\r\n\r\n"], {400}, id="H25 a NUL in a field"),
    pytest.param([b"PO\x00ST /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"], {400}, id="H26 a NUL in the method"),
    pytest.param([head() + b"x : a\r\n\r\n"], {400}, id="H27 a blank before the colon"),
    pytest.param([b"GET /\r\n\r\n"], {400, 404}, id="H28 HTTP/0.9"),
    pytest.param([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)], {400}, id="H31 a TLS greeting"),
    pytest.param([b"FOO /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"], {400, 405}, id="H46 an unknown method"),
    pytest.param([head(method="PUT", connection="close") + END], {405}, id="H46b PUT"),
    pytest.param([b"POST /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n"], {400, 404}, id="H47 a path that is no ASCII"),
    pytest.param([b"POST http://[ HTTP/1.1\r\nhost: x\r\n\r\n"], {400, 404}, id="H47b a path that is no path"),
    pytest.param([b"POST * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"], {400, 404}, id="H47c a star"),
    pytest.param([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], {400}, id="H30b HTTP/2 with prior knowledge"),
    pytest.param([b"hello\r\n"], {400}, id="no HTTP at all"),
    pytest.param([head() + b"authorization: Bearer \r\nconnection: close\r\n\r\n"], {401}, id="an empty second key"),
]


@pytest.mark.parametrize(("pieces", "expected"), HEADS)
async def test_a_malformed_or_oversized_request_is_refused_before_it_is_slow(
    house: Ingest, pieces: list[bytes], expected: set[int]
) -> None:
    statuses, answer, _ = await exchange(house.port, *pieces)

    assert len(statuses) == 1, answer
    assert set(statuses) <= expected
    assert b"application/problem+json" in answer


SLOW = [
    pytest.param([], [], 5, id="H6 no byte at all"),
    pytest.param([head()], [408], 5, id="H7 half a head, then silence"),
    pytest.param([head(), *dripped(b"x: y\r\n", 0.5)], [408], 5, id="H8 a dripped head"),
    pytest.param([head(content_length="100") + END + b"{ "], [408], 5, id="H9 two bytes of a hundred"),
    pytest.param([head(content_length="1000") + END, *dripped(b" ", 1)], [408], 10, id="H10 a dripped body"),
    pytest.param([CHUNKED, *dripped(b"1\r\n \r\n", 1)], [408], 10, id="H10b dripped chunks"),
    pytest.param(
        [head(content_length="1000", expect="100-continue") + END], [100, 408], 5, id="H32 a promise, then nothing"
    ),
    pytest.param([GOOD], [202], 30, id="a connection kept alive without another request"),
    pytest.param([GOOD, 0.5, b"\r\n\r\n"], [202], 5.5, id="blank lines behind a request, then silence"),
    pytest.param([GOOD, 0.5, head()], [202, 408], 5.5, id="a second head that never ends"),
]


async def test_whoever_is_slow_is_told_so_in_time_and_good_clients_do_not_notice(house: Ingest) -> None:
    slow = [exchange(house.port, *case.values[0]) for case in SLOW]  # type: ignore[misc]
    results = asyncio.gather(*slow)
    idle = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(1000)]  # H35
    waits: list[float] = []
    async with httpx.AsyncClient() as client:
        while not results.done():
            began = time.monotonic()
            answer = await client.post(
                f"{house.url}/v1/events", content=BODY, headers={**ACME_HEADERS, "content-type": SINGLE}
            )
            waits.append(time.monotonic() - began)
            assert answer.status_code == 202
            await asyncio.sleep(0.2)
    for _, writer in idle:
        writer.transport.abort()

    for case, (statuses, answer, seconds) in zip(SLOW, await results, strict=True):
        _, expected, limit = case.values
        assert statuses == expected, (case.id, answer)
        assert limit - 1 < seconds, (case.id, seconds)
    assert statistics.median(waits) < 3


SERVED = [
    pytest.param([LAST], [202], id="a plain request"),
    pytest.param([head(version="1.0", content_length=LENGTH) + END + BODY], [202], id="H29 HTTP/1.0 with a length"),
    pytest.param(
        [head(version="1.0", host="", content_length=LENGTH) + END + BODY], [202], id="HTTP/1.0 without a host"
    ),
    pytest.param([GOOD, LAST], [202, 202], id="two requests in turn"),
    pytest.param([GOOD * 20 + LAST], [202] * 21, id="21 requests at once"),
    pytest.param([GOOD + b"nonsense\r\n\r\n"], [202, 400], id="H33 a malformed request behind a good one"),
    pytest.param([GOOD + head() + lines(200) + END], [202, 431], id="H33b an oversized head behind a good request"),
    pytest.param(
        [GOOD + head(content_length="99999999") + END], [202, 413], id="H33c an oversized promise behind a good request"
    ),
    pytest.param(
        [GOOD * 3 + head(transfer_encoding="chunked") + END + b"zz\r\n"],
        [202, 202, 202, 400],
        id="H33d a bad chunk behind three good requests",
    ),
    pytest.param([*[bytes([byte]) for byte in LAST]], [202], id="a request in single bytes"),
    pytest.param(
        [
            head(transfer_encoding="chunked", connection="close") + END,
            *[b"1\r\n%c\r\n" % byte for byte in BODY],
            b"0\r\n\r\n",
        ],
        [202],
        id="a body in chunks of one byte",
    ),
    pytest.param(
        [head(content_length=LENGTH, expect="100-continue", connection="close") + END, 0.3, BODY],
        [100, 202],
        id="a body after 100 Continue",
    ),
    pytest.param(
        [head(content_length=LENGTH, x_forwarded_for="8.8.8.8", connection="close") + END + BODY],
        [202],
        id="H48 a forged forwarding header",
    ),
]


@pytest.mark.parametrize(("pieces", "expected"), SERVED)
async def test_an_unusual_but_honest_request_is_served_in_order(
    house: Ingest, pieces: list[Any], expected: list[int]
) -> None:
    statuses, answer, _ = await exchange(house.port, *pieces)

    assert statuses == expected, answer


async def test_an_upgrade_to_http_2_is_not_followed(house: Ingest) -> None:
    asked = "Upgrade, HTTP2-Settings, close"
    upgrade = head(content_length=LENGTH, upgrade="h2c", connection=asked, http2_settings="AAMA")

    statuses, _, _ = await exchange(house.port, upgrade + END + BODY)

    assert statuses in ([202], [400])


async def test_a_sender_that_leaves_half_way_or_before_the_answer_does_no_harm(house: Ingest) -> None:
    def accepted() -> float:
        return house.metrics()['uptake_ingest_events_total{outcome="accepted"}']

    before = accepted()
    for sent in (GOOD[:30], GOOD[:-5], CHUNKED + b"5\r\nab", GOOD):
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(sent)
        await writer.drain()
        writer.close()
    await until(lambda: accepted() > before)

    assert accepted() == before + 1
    assert "Traceback" not in house.log


async def test_memory_stays_bounded_under_hostile_bodies(house: Ingest) -> None:
    process = psutil.Process(house.pid)
    before = process.memory_info().rss
    nest = b"[" + b'{"a":' * 300_000 + b"1" + b"}" * 300_000 + b"]"
    keys = b"[{" + b'"a":1,' * 30_000 + b'"a":1}]'
    for body in (nest, keys, nest, keys, nest):
        await asyncio.to_thread(house.post, body, headers={"content-type": "application/cloudevents-batch+json"})
    for _ in range(3):
        await exchange(house.port, head(content_length="209715200") + END, b" " * (8 << 20), read_for=4)

    assert process.memory_info().rss - before < 64 << 20


async def test_a_refused_connection_is_counted(house: Ingest) -> None:
    name = 'uptake_ingest_requests_total{code="431",source="connection"}'
    before = house.metrics().get(name, 0)
    await exchange(house.port, head() + lines(120) + END)

    assert house.metrics()[name] == before + 1
