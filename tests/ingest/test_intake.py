import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import httpx
import pytest

from schemas.events import decode
from services import postgres
from services.embedded import Broker
from tests.builders import add_tenant
from tests.ingest.service import (
    ACME,
    ACME_HEADERS,
    ADMIN,
    BATCH,
    NOW,
    SINGLE,
    Ingest,
    add_key,
    cloud_event,
    encoded,
    key,
    on_the_log,
)

BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "b-1",
    "ce-source": "/crm/acme",
    "ce-type": "crm.session.login",
}


def told(answer: httpx.Response) -> list[tuple[int, str | None, str]]:
    """Return what was rejected, by place, id and pointer."""
    return [(entry["index"], entry["id"], entry["pointer"]) for entry in answer.json()["rejected"]]


def is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == status == body["status"]
        and answer.headers["content-type"] == "application/problem+json"
        and set(body) == {"type", "title", "status", "detail"}
    )


# ---------------------------------------------------------------- what is taken


async def test_an_accepted_event_is_on_the_log_with_its_person_its_headers_and_the_instant_of_its_arrival(
    house: Ingest, house_broker: Broker
) -> None:
    answer = house.post(cloud_event("seen", tenant="globex", datacontenttype="application/json"))
    record, *_ = await on_the_log(house_broker.address, at_least=1, containing=b'"event-seen"')

    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "rejected": []}
    assert record.key == b"acme\x00user-seen"
    assert dict(record.headers)["ce_id"] == b"event-seen"
    assert decode(record.value).tenant == "acme"
    assert json.loads(record.value)["data"] == {
        "user": "user-seen",
        "origin": "ui",
        "object": "deal",
        "fields": {"amount": "filled"},
    }
    assert abs(record.timestamp - NOW.timestamp() * 1000) < 3_600_000


def test_one_bad_event_of_a_batch_rejects_itself_only(house: Ingest) -> None:
    events = [cloud_event(1), cloud_event(2, time="yesterday"), "text", cloud_event(4, data=[1]), cloud_event(5)]

    answer = house.post(events)

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert told(answer) == [(1, "event-2", "/time"), (2, None, ""), (3, "event-4", "/data")]


def test_a_batch_without_one_good_event_is_422(house: Ingest) -> None:
    answer = house.post([cloud_event(1, id=5), cloud_event(2, source="")])

    assert answer.status_code == 422
    assert answer.json()["accepted"] == 0
    assert told(answer) == [(0, None, "/id"), (1, "event-2", "/source")]


def test_an_empty_batch_is_taken(house: Ingest) -> None:
    answer = house.post([])

    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "rejected": []})


def test_the_largest_batch_is_taken_and_one_event_more_is_not(house: Ingest) -> None:
    largest = house.post([cloud_event(number) for number in range(2500)])
    larger = house.post([cloud_event(number) for number in range(2501)])

    assert largest.json() == {"accepted": 2500, "rejected": []}
    assert is_problem(larger, 413)


async def test_all_three_modes_make_the_same_record(house: Ingest, house_broker: Broker) -> None:
    event = cloud_event("same", subject="deal/ä 1")
    headers = {f"ce-{name}": value for name, value in event.items() if name not in ("data", "subject")}
    headers |= {"content-type": "application/json", "ce-subject": "deal/%C3%A4%201"}
    packed = {name: value for name, value in event.items() if name != "data"} | {"data_base64": encoded(event["data"])}

    answers = [
        house.post(event),
        house.post([event]),
        house.post(json.dumps(event["data"]).encode(), headers=headers),
        house.post(packed),
        house.post({**event, "time": "2026-03-02T10:30:00.000+01:00"}),
    ]
    records = await on_the_log(house_broker.address, at_least=5, containing=b'"event-same"')
    mine = [(record.key, record.value, record.headers) for record in records]

    assert [answer.status_code for answer in answers] == [202] * 5
    assert len(mine) == 5
    assert len(set(mine)) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json; charset=UTF-8",
        'application/cloudevents+json;charset="utf-8"',
        "Application/CloudEvents+JSON",
    ],
)
def test_parameters_and_letter_case_of_the_content_type_do_not_matter(house: Ingest, content_type: str) -> None:
    assert house.post(cloud_event(), headers={"content-type": content_type}).status_code == 202


def test_a_null_attribute_is_an_absent_one(house: Ingest) -> None:
    event = {**cloud_event(), "subject": None, "dataschema": None, "time": None, "data_base64": None}

    assert house.post(event).status_code == 202
    assert told(house.post({**event, "id": None})) == [(0, None, "/id")]


def test_an_event_without_a_user_is_taken(house: Ingest) -> None:
    events = [cloud_event(1, data={}), cloud_event(2, data={"user": None}), cloud_event(3, data=None)]

    assert house.post(events).json()["accepted"] == 3


def test_an_event_of_an_unknown_type_is_taken(house: Ingest) -> None:
    assert house.post(cloud_event(type="com.example.whatever")).status_code == 202


@pytest.mark.parametrize(
    ("headers", "body", "pointer"),
    [
        pytest.param({"ce-id": "a%00b"}, b"{}", "/id", id="a NUL in the id"),
        pytest.param({"ce-id": "%ff"}, b"{}", "/id", id="bytes that are no UTF-8"),
        pytest.param({"ce-specversion": "0.3"}, b"{}", "/specversion", id="another version"),
        pytest.param({"ce-time": "soon"}, b"{}", "/time", id="a bad time"),
        pytest.param({}, b"[]", "/data", id="data that is an array"),
        pytest.param({}, b'{"user":1,"user":2}', "/data/user", id="a key twice in the data"),
        pytest.param({}, b'{"user":NaN}', "/data/user", id="NaN in the data"),
        pytest.param({"ce-type": ""}, b"{}", "/type", id="an empty type"),
    ],
)
def test_a_bad_binary_event_is_rejected_where_it_is_bad(
    house: Ingest, headers: dict[str, str], body: bytes, pointer: str
) -> None:
    answer = house.post(body, headers={**BINARY, **headers})

    assert answer.status_code == 422
    assert answer.json()["rejected"][0]["pointer"] == pointer


def test_a_binary_event_may_have_no_body_and_quoted_headers(house: Ingest) -> None:
    assert house.post(b"", headers={**BINARY, "ce-id": '"a \\"b\\""', "content-type": ""}).status_code == 202


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param(b"", SINGLE, 400, id="nothing"),
        pytest.param(b"  ", BATCH, 400, id="blanks"),
        pytest.param(b"{", SINGLE, 400, id="half an object"),
        pytest.param(b"[{}", BATCH, 400, id="half a batch"),
        pytest.param(b"{}", BATCH, 400, id="an object as a batch"),
        pytest.param(b"[]", SINGLE, 422, id="a batch as an event"),
        pytest.param(b'"x"', SINGLE, 422, id="a text"),
        pytest.param(b"NaN", SINGLE, 422, id="NaN"),
        pytest.param(b"5", SINGLE, 422, id="a number"),
        pytest.param(b"[" * 100_000, BATCH, 400, id="100,000 open arrays"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, BATCH, 422, id="100,000 nested arrays"),
        pytest.param(b"[" * 5000 + b"]" * 5000, SINGLE, 422, id="5,000 nested arrays"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, SINGLE, 422, id="10,000 nested objects"),
        pytest.param("{}".encode("utf-16"), SINGLE, 400, id="UTF-16"),
        pytest.param("{}".encode("utf-32"), SINGLE, 400, id="UTF-32"),
        pytest.param(b'{"__proto__":{},"$ref":"x","constructor":1}', SINGLE, 422, id="names with a meaning elsewhere"),
        pytest.param(b'{"id":"' + b"x" * (256 << 10) + b'"}', SINGLE, 413, id="an event of more than 256 KiB"),
        pytest.param(b" " * (5 << 20) + b"[]", BATCH, 413, id="a body of more than 5 MiB"),
        pytest.param(b"[" + b"[]," * 1_000_000 + b"[]]", BATCH, 413, id="a million empty arrays"),
        pytest.param(b"[{" + b'"a":1,' * 700_000 + b'"a":1}]', BATCH, 422, id="700,000 keys"),
        pytest.param(b'[{"' + b"k" * (4 << 20) + b'":1}]', BATCH, 422, id="a key of 4 MiB"),
        pytest.param(b"[" + b"[" * 2_000_000 + b"]" * 2_000_000 + b"]", BATCH, 422, id="2,000,000 nested arrays"),
    ],
)
def test_a_hostile_body_gets_its_documented_answer(house: Ingest, body: bytes, kind: str, status: int) -> None:
    answer = house.post(body, headers={"content-type": kind})

    assert answer.status_code == status
    if status == 422:
        assert answer.json()["accepted"] == 0
    else:
        assert is_problem(answer, status)


def test_the_largest_body_is_taken(house: Ingest) -> None:
    event = json.dumps(cloud_event(note="x" * 600)).encode()
    body = b"[" + b",".join([event] * 2000) + b"]"

    answer = house.post(body + b" " * ((5 << 20) - len(body)), headers={"content-type": BATCH})

    assert answer.json() == {"accepted": 2000, "rejected": []}


def test_an_event_of_a_batch_that_is_too_large_rejects_itself_only(house: Ingest) -> None:
    answer = house.post([cloud_event(1), cloud_event(2, note="x" * (256 << 10)), cloud_event(3)])

    assert answer.json()["accepted"] == 2
    assert answer.json()["rejected"][0]["reason"] == "is larger than 256 KiB"


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("", id="none"),
        pytest.param("text/plain", id="plain text"),
        pytest.param("application/json", id="JSON without ce- headers"),
        pytest.param("application/json; charset=utf-16", id="JSON in UTF-16"),
        pytest.param("application/cloudevents+json; charset=utf-16", id="an event in UTF-16"),
        pytest.param("application/cloudevents+avro", id="another event format"),
        pytest.param("application/cloudevents-batch+xml", id="another batch format"),
        pytest.param("multipart/form-data; boundary=x", id="multipart"),
        pytest.param("application/x-www-form-urlencoded", id="a form"),
        pytest.param(";", id="a semicolon"),
    ],
)
def test_a_body_of_another_kind_is_415(house: Ingest, content_type: str) -> None:
    assert is_problem(house.post(b"{}", headers={"content-type": content_type}), 415)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json; charset=latin-1"])
def test_binary_data_of_another_kind_is_415(house: Ingest, kind: str) -> None:
    assert is_problem(house.post(b"{}", headers={**BINARY, "content-type": kind}), 415)


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "x", "gzip;q=1", "*"])
def test_another_content_encoding_is_415(house: Ingest, encoding: str) -> None:
    assert is_problem(house.post(cloud_event(), headers={"content-encoding": encoding}), 415)


def test_gzip_is_understood(house: Ingest) -> None:
    body = gzip.compress(json.dumps([cloud_event(number) for number in range(50)]).encode())

    assert house.post(body, headers={"content-encoding": "GZip", "content-type": BATCH}).json()["accepted"] == 50


PACKED = gzip.compress(json.dumps(cloud_event()).encode())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{}", 400, id="no gzip"),
        pytest.param(PACKED[:-9], 400, id="a truncated stream"),
        pytest.param(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], 400, id="a wrong checksum"),
        pytest.param(PACKED + PACKED, 400, id="two members"),
        pytest.param(PACKED + b"x", 400, id="a byte too many"),
        pytest.param(gzip.compress(PACKED), 400, id="gzip in gzip"),
        pytest.param(zlib.compress(b"{}"), 400, id="zlib"),
        pytest.param(gzip.compress(b" " * (6 << 20)), 413, id="6 MiB unpacked"),
        pytest.param(gzip.compress(b"\0" * (256 << 20), 9), 413, id="a bomb of 256 MiB"),
    ],
)
def test_a_gzip_body_that_is_bad_or_a_bomb_is_refused(house: Ingest, body: bytes, status: int) -> None:
    headers = {"content-encoding": "gzip", "content-type": BATCH if len(body) > 1 << 17 else SINGLE}

    assert is_problem(house.post(body, headers=headers), status)


def test_a_body_over_the_limit_without_a_length_is_413(house: Ingest) -> None:
    headers = {"authorization": f"Bearer {ACME}", "content-type": BATCH}
    pieces = (b" " * 65536 for _ in range(100))

    assert is_problem(httpx.post(f"{house.url}/v1/events", headers=headers, content=pieces), 413)


# ---------------------------------------------------------------- keys and tenants


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"authorization": ""}, id="no key"),
        pytest.param({"authorization": "Bearer"}, id="a scheme alone"),
        pytest.param({"authorization": f"Basic {ACME}"}, id="another scheme"),
        pytest.param({"authorization": "Bearer x"}, id="no key of ours"),
        pytest.param({"authorization": f"Bearer {ACME}x"}, id="a secret with one character more"),
        pytest.param({"authorization": f"Bearer {key('acme0001', 't' * 43)}"}, id="another secret"),
        pytest.param({"authorization": f"Bearer {key('nobody01')}"}, id="an unknown id"),
        pytest.param({"authorization": "Bearer upt_acme0001_" + "s" * 100_00}, id="a key of 10 kB"),
        pytest.param({"authorization": b"Bearer upt_acme0001_\xc3\xa9" + b"s" * 41}, id="a secret that is no ASCII"),
        pytest.param({"authorization": "Bearer upt__" + "s" * 43}, id="an empty id"),
        pytest.param({"authorization": f"Bearer {ACME}, Bearer {ACME}"}, id="two keys"),
    ],
)
def test_a_request_without_a_good_key_is_401_and_learns_nothing(house: Ingest, headers: dict[str, Any]) -> None:
    answer = house.post(cloud_event(), headers=headers)

    assert is_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "acme" not in answer.text


@pytest.mark.parametrize("path", ["/v1/events", "/v1/logins", "/v1/replays"])
def test_of_several_keys_or_tenants_in_one_request_none_counts(house: Ingest, path: str) -> None:
    def post(*headers: tuple[str, str]) -> httpx.Response:
        sent = [("content-type", SINGLE), *headers, ("authorization", f"Bearer {ADMIN}"), ("uptake-tenant", "acme")]
        return httpx.post(f"{house.url}{path}", json=cloud_event(), headers=sent)

    assert is_problem(post(("authorization", f"Bearer {key('nobody01')}")), 401)
    assert is_problem(post(("uptake-tenant", "globex")), 400)


def test_what_else_stands_twice_in_a_head_does_not_matter(house: Ingest) -> None:
    sent = [("content-type", SINGLE), *ACME_HEADERS.items(), ("via", "1.1 one"), ("via", "1.1 two")]

    assert httpx.post(f"{house.url}/v1/events", json=cloud_event(), headers=sent).status_code == 202


def test_a_key_in_the_query_opens_and_is_never_logged(house: Ingest) -> None:
    opened = house.post(cloud_event(), headers={"authorization": ""}, params={"access_token": ACME})
    refused = house.post(cloud_event(), headers={"authorization": ""}, params={"access_token": ACME + "x"})

    assert (opened.status_code, refused.status_code) == (202, 401)
    assert "acme0001" not in house.log
    assert "s" * 43 not in house.log


def test_an_admin_key_names_its_tenant(house: Ingest) -> None:
    admin = {"authorization": f"Bearer {ADMIN}"}

    assert house.post(cloud_event(), headers={**admin, "uptake-tenant": "globex"}).status_code == 202
    assert is_problem(house.post(cloud_event(), headers=admin), 400)
    for name in ("nobody", "", "acme\xe9", "x" * 5000, "' or 1=1 --"):
        named = {**admin, "uptake-tenant": name.encode("latin-1")}
        assert is_problem(house.post(cloud_event(), headers=named), 404)  # type: ignore[arg-type]


def test_a_tenants_key_speaks_for_no_other_tenant(house: Ingest) -> None:
    assert house.post(cloud_event(), headers={"uptake-tenant": "acme"}).status_code == 202
    assert is_problem(house.post(cloud_event(), headers={"uptake-tenant": "globex"}), 404)


async def test_a_new_key_and_a_new_tenant_work_at_once_and_scope_expiry_and_revocation_count(
    house: Ingest, house_database: str
) -> None:
    new, reader, old, gone = key("new00001"), key("read0001"), key("old00001"), key("gone0001")
    connection = await postgres.connect(house_database, name="tests")
    await add_tenant(connection, "initech")
    await add_key(connection, new, tenant="initech")
    await add_key(connection, reader, tenant="initech", scopes=["read"])
    await add_key(connection, old, tenant="initech", expires_at=NOW - timedelta(seconds=1))
    await add_key(connection, gone, tenant="initech", revoked_at=NOW)
    await connection.close()

    statuses = [
        house.post(cloud_event(), headers={"authorization": f"Bearer {text}"}).status_code
        for text in (new, reader, old, gone)
    ]
    admin = house.post(cloud_event(), headers={"authorization": f"Bearer {ADMIN}", "uptake-tenant": "initech"})

    assert statuses == [202, 403, 401, 401]
    assert admin.status_code == 202


# ---------------------------------------------------------------- the rest of the door


def test_the_webhook_handshake_is_answered(house: Ingest) -> None:
    asking = {"webhook-request-origin": "crm.example.com", "webhook-request-rate": "120"}

    answer = httpx.options(f"{house.url}/v1/events", headers=asking)
    plain = httpx.options(f"{house.url}/v1/events", headers={"access-control-request-method": "POST"})

    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "crm.example.com"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert "POST" in answer.headers["allow"]
    assert "webhook-allowed-origin" not in plain.headers
    assert "access-control-allow-origin" not in plain.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "HEAD"])
def test_another_method_is_405_with_allow(house: Ingest, method: str) -> None:
    answer = httpx.request(method, f"{house.url}/v1/events", headers={"authorization": f"Bearer {ACME}"})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/events/", "/v1/events%00", "/v1/..%2fevents", "/v1/%ff%fe", "/v1/hooks/acme/x", "/" + "x" * 8000],
    ids=lambda path: path[:20],
)
def test_another_path_is_404(house: Ingest, path: str) -> None:
    assert is_problem(httpx.post(house.url + path, content=b"{}"), 404)


def test_a_path_over_8_kib_is_414(house: Ingest) -> None:
    assert httpx.post(house.url + "/" + "x" * 8200).status_code == 414


def test_the_documentation_describes_the_intake(house: Ingest) -> None:
    document = httpx.get(f"{house.url}/openapi.json").json()
    intake = document["paths"]["/v1/events"]["post"]

    assert document["openapi"].startswith("3.1")
    assert {"202", "400", "401", "404", "413", "415", "422", "429", "503"} <= set(intake["responses"])
    assert {SINGLE, BATCH} <= set(intake["requestBody"]["content"])
    assert "<code>/v1/events</code>" in httpx.get(f"{house.url}/docs").text
    assert httpx.get(f"{house.url}/healthz").json() == {"alive": True}
    assert is_problem(refused := httpx.post(f"{house.url}/healthz"), 405)
    assert refused.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/nowhere"])
def test_head_is_answered_like_get_without_a_body(house: Ingest, path: str) -> None:
    get, head = (httpx.request(method, f"{house.url}{path}") for method in ("GET", "HEAD"))

    assert (head.status_code, head.content) == (get.status_code, b"")
    assert [head.headers[name] == get.headers[name] for name in ("content-type", "content-length")] == [True, True]


def test_the_metrics_count_requests_and_events(house: Ingest) -> None:
    before = house.metrics()
    house.post([cloud_event(1), cloud_event(2), cloud_event(3, id="")])
    house.post(b"{")
    after = house.metrics()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('uptake_ingest_requests_total{code="202",source="events"}') == 1
    assert grown('uptake_ingest_requests_total{code="400",source="events"}') == 1
    assert grown('uptake_ingest_events_total{outcome="accepted"}') == 2
    assert grown('uptake_ingest_events_total{outcome="rejected"}') == 1
    assert grown("uptake_ingest_publish_seconds_count") >= 1
    assert after["uptake_ingest_pending_bytes"] == 0
    openmetrics = httpx.get(f"{house.url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.text.endswith("# EOF\n")
