"""The description of the API, and what every request meets at its edge."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import jsonschema
import pytest

from services.api import edge
from tests.api.conftest import Client, Connect


async def test_every_operation_shows_an_example(connect: Connect) -> None:
    document = (await connect(key=None).get("/openapi.json")).json()

    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            good = {code: answer for code, answer in operation["responses"].items() if code.startswith("2")}
            assert good, (method, path)
            for code, answer in good.items():
                assert code == "204" or all("example" in body for body in answer["content"].values()), (method, path)
            for body in operation.get("requestBody", {}).get("content", {}).values():
                assert "example" in body, (method, path)


def test_every_example_fits_its_description(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
            for kind, shown in [entry for body in bodies for entry in body.get("content", {}).items()]:
                if "json" in kind:
                    jsonschema.validate(shown["example"], {**shown["schema"], "components": document["components"]})


async def test_the_docs_hold_every_operation_and_need_nothing_from_elsewhere(
    connect: Connect, document: dict[str, Any]
) -> None:
    shown = (await connect(key=None).get("/docs")).text
    found = re.findall(r'<b class="(\w+)">\1</b><code>(.*?)</code>', shown)

    assert sorted(found) == sorted((method, path) for path, told in document["paths"].items() for method in told)
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", shown)
    assert '"time_zone": "Europe/Berlin"' in unescape(shown)


async def test_a_read_is_answered_from_the_cache_of_the_caller(api: Client) -> None:
    first = await api.get("/v1/tenants/acme")
    tag = first.headers["etag"]

    for wanted in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await api.get("/v1/tenants/acme", headers={"If-None-Match": wanted})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for garbage in ("", "x", '"', "W/", ",,,", tag.strip('"'), "\xff"):
        fresh = await api.get("/v1/tenants/acme", headers=[(b"If-None-Match", garbage.encode("latin-1"))])
        assert fresh.status_code == 200
    await api.patch("/v1/tenants/acme", json={"name": "Other"})
    assert (await api.get("/v1/tenants/acme", headers={"If-None-Match": tag})).status_code == 200


DEEP = b'{"id":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
BAD_BODIES = [
    pytest.param(b"", 422, id="nothing"),
    pytest.param(b"{", 400, id="half an object"),
    pytest.param(b"\xff\xfe", 400, id="no UTF-8"),
    pytest.param(b'{"id": "\xff"}', 400, id="no UTF-8 in a string"),
    pytest.param(DEEP, 400, id="ten thousand deep"),
    pytest.param(b"[1,2]", 422, id="a list"),
    pytest.param(b"null", 422, id="null"),
    pytest.param(b'"x"', 422, id="a string"),
    pytest.param(b'{"id": NaN}', 422, id="not a number"),
    pytest.param(b'{"id": ' + b"9" * 5000 + b"}", 400, id="five thousand digits"),
    pytest.param(b'{"id": "a\\u0000b"}', 422, id="a NUL"),
    pytest.param(b'{"id": "a", "name": "\\ud800"}', 422, id="half a surrogate pair"),
    pytest.param(b'{"id": "a", "\\ud800": 1}', 422, id="half a surrogate pair for a name"),
    pytest.param(b'{"id": "a", "labels": {"\\ud800": "x"}}', 422, id="half a surrogate pair for a label"),
    pytest.param(b'{"id": "a", "work_days": [1e400]}', 422, id="a float beyond any"),
    pytest.param(b'{"id": "a", "id": "a/b"}', 422, id="a name given twice, the last one counts"),
]


@pytest.mark.parametrize(("body", "status"), BAD_BODIES)
async def test_a_bad_body_is_a_documented_error(connect: Connect, body: bytes, status: int) -> None:
    answer = await connect().post("/v1/tenants", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ";;;"]
)
async def test_a_body_of_another_kind_is_refused(connect: Connect, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await connect().post("/v1/tenants", content=b'{"id": "acme"}', headers=headers)

    assert answer.status_code == 415
    assert answer.json()["detail"] == "The body must come as application/json."


async def test_a_large_body_is_refused_with_and_without_its_length(connect: Connect) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (edge.MOST_BYTES // 2)

    headers = {"Content-Type": "application/json"}
    told = await connect().post("/v1/tenants", content=b" " * (edge.MOST_BYTES + 1), headers=headers)
    untold = await connect().post("/v1/tenants", content=parts(), headers=headers)
    strange = await connect().post("/v1/tenants", content=b"{}", headers={**headers, "Content-Length": "x"})

    assert [told.status_code, untold.status_code, strange.status_code] == [413] * 3


async def test_an_unknown_address_and_an_unknown_method_are_problems(api: Client) -> None:
    missing, twice = await api.get("/v1/nothing"), await api.get("/v1/tenants/")
    wrong, other = [await api.request("DELETE", path) for path in ("/v1/windows", "/v1/tenants/acme")]

    assert [missing.status_code, twice.status_code, wrong.status_code] == [404, 404, 405]
    assert [answer.headers["allow"] for answer in (wrong, other)] == ["GET, HEAD", "GET, HEAD, PATCH"]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in (missing, wrong))


@pytest.mark.parametrize("path", ["/v1/tenants/acme", "/healthz", "/v1/nothing"])
async def test_a_head_is_answered_as_its_get_without_the_body(api: Client, path: str) -> None:
    whole, head = await api.get(path), await api.head(path)

    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers == whole.headers


STRANGE = [
    "%00",
    "a%00b",
    "%ff",
    "%F0%9F%98%80",
    "' or 1=1 --",
    "..%2f..%2fetc",
    "x" * 5000,
    "%ED%A0%80",
    "%E2%80%AE",
    "*",
]


async def test_strange_words_in_an_address_find_nothing_and_break_nothing(api: Client) -> None:
    for word in STRANGE:
        await _find_nothing(api, word)


async def _find_nothing(api: Client, word: str) -> None:
    for path in ("tenants", "keys", "waves", "people", "alerts"):
        answer = await api.get(f"/v1/{path}/{word}")
        assert answer.status_code in (404, 422), (path, answer.status_code)
    for question in (
        "windows?key=",
        "directory/people?team=",
        "directory/people?role=",
        "alerts?rule=",
        "alerts?wave=",
    ):
        answer = await api.get(f"/v1/{question}{word}")
        assert answer.status_code in (200, 422), (question, answer.status_code)
        assert answer.status_code == 422 or answer.json()["items"] == []


LISTS = ["windows", "alerts", "tenants", "keys", "waves", "directory/people", "directory/teams"]
LIMITS = ["0", "-1", "1001", "1000000000", "9" * 30, "9" * 5000, "1e3", "NaN", "''", "", "1;drop", "%31%00"]


@pytest.mark.parametrize("path", LISTS)
async def test_a_limit_is_a_number_between_1_and_1000(api: Client, path: str) -> None:
    for limit in LIMITS:
        assert (await api.get(f"/v1/{path}?limit={limit}")).status_code == 422, limit


def forged(text: str) -> str:

    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


CURSORS = {
    "empty": "",
    "no base64": "!!",
    "cut base64": "abc",
    "not ASCII": "é",
    "eight kilobytes": "A" * 8192,
    "deep": forged("[" * 5000),
    "another place": forged('["x", null]'),
    "a NUL inside": forged('["x", ["team", "a\\u0000", 1, "2026-01-01"]]'),
    "of another question": forged('["x", "b"]'),
}


@pytest.mark.parametrize("path", LISTS)
async def test_a_cursor_of_another_question_is_refused(api: Client, path: str) -> None:
    for name, cursor in CURSORS.items():
        answer = await api.get(f"/v1/{path}", params={"cursor": cursor})

        assert answer.status_code == 422, name
        assert answer.json()["errors"][0]["parameter"] == "cursor"


async def test_requests_are_counted_by_route_and_status(api: Client, connect: Connect) -> None:
    sorts = [("200", "/v1/tenants/{tenant}"), ("404", "/v1/tenants/{tenant}"), ("404", "other")]

    async def counts() -> list[float]:
        text = (await connect(key=None).get("/metrics")).text
        lines = [f'uptake_api_requests_total{{code="{code}",method="GET",route="{route}"}} ' for code, route in sorts]
        return [float(text.partition(line)[2].partition("\n")[0] or 0) for line in lines]

    before = await counts()
    for path in ("/v1/tenants/acme", "/v1/tenants/none", "/v1/nothing", "/x"):
        await api.get(path)

    assert [now - then for now, then in zip(await counts(), before, strict=True)] == [1, 1, 2]


async def test_answers_are_kept_from_shared_caches_and_from_guessing(api: Client) -> None:
    answer = await api.get("/v1/tenants/acme")

    assert answer.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/v1/tenants/acme", "/v1/tenants/none", "/v1/nothing", "/healthz", "/docs"])
async def test_no_answer_may_be_guessed_at_framed_or_passed_on(api: Client, path: str) -> None:
    headers = (await api.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/sources", b'{"id": "hub", "kind": "custom", "options": {"header": "\\ud800"}}'),
        ("/v1/sources", b'{"id": "hub", "kind": "custom", "options": {"\\ud800": 1}}'),
        ("/v1/subscriptions", b'{"kind": "webhook", "url": "https://8.8.4.4/", "options": {"\\ud800": 1}}'),
        ("/v1/rules/backtest", b'{"rules": [{"id": "stale-close-dates", "\\ud800": 1}]}'),
        ("/v1/rules/backtest", b'{"rules": [{"id": "stale-close-dates", "title": "\\ud800"}]}'),
    ],
    ids=["a value", "a name", "a name of a subscription", "a name in a draft", "a value in a draft"],
)
async def test_what_no_json_may_hold_is_refused_wherever_anything_may_stand(
    api: Client, path: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "once"}
    answer = await api.post(path, content=body, headers=headers)

    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tenants", {"id": "new"}),
        ("/v1/keys", {"tenant": "acme", "scopes": ["read"]}),
        ("/v1/sources", {"id": "hub", "kind": "custom"}),
        ("/v1/waves", {"id": "w", "name": "W", "go_live": "2026-03-02"}),
        ("/v1/annotations", {"id": "a", "kind": "other", "title": "We begin", "starts_on": "2026-03-02"}),
        ("/v1/subscriptions", {"kind": "webhook", "url": "https://8.8.4.4/hook"}),
    ],
)
async def test_what_is_made_is_where_its_answer_says(api: Client, path: str, body: dict[str, Any]) -> None:
    made = await api.post(path, json=body)
    found = await api.get(made.headers["location"])

    assert made.status_code == 201, made.text
    assert found.json()["id"] == made.json()["id"]


async def test_an_idempotency_key_must_be_text(api: Client) -> None:
    for bad in ("", " ", "x" * 256):
        answer = await api.post("/v1/tenants", json={"id": "b"}, headers={"Idempotency-Key": bad})
        assert answer.status_code == 422, bad


async def test_more_requests_at_once_than_can_be_answered_are_told_to_come_back(api: Client) -> None:
    answers = await asyncio.gather(*(api.get("/v1/windows") for _ in range(edge.MOST_RUNNING + 100)))

    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 503)
    assert (await api.get("/v1/windows")).status_code == 200
