"""``POST /v1/logins`` over HTTP: row by row as the events intake answers, or refused as a whole."""

import gzip
from typing import Any

import httpx
import pytest

from services.ingest.logins.rows import MOST_ROWS
from tests.ingest.logins.exports import ROWS, export, hubspot, table
from tests.ingest.service import ACME_HEADERS, ADMIN, Ingest, key, on_the_log


def send(house: Ingest, body: bytes, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
    sent = {**ACME_HEADERS, "content-type": "text/csv", **(headers or {})}
    return httpx.post(f"{house.url}/v1/logins", params=query, content=body, headers=sent)


def mail(name: str) -> bytes:
    return f"user,time\n{name},2026-03-02T08:15:30Z\n".encode()


@pytest.mark.parametrize("form", ROWS)
def test_an_export_is_taken_row_by_row(house: Ingest, form: str) -> None:
    answer = send(house, export(form), format=form)

    assert answer.status_code == 202
    told = answer.json()
    assert told.pop("newest").startswith("2026-03-02T08:15:30")
    assert told == {"accepted": 1, "rejected": [], "skipped": 0}


async def test_what_was_taken_is_on_the_log_and_a_dry_run_is_not(house: Ingest, house_broker: Any) -> None:
    dry = send(house, mail("dry-ada"), format="csv", dry_run="true")
    answer = send(house, mail("wet-ada"), format="csv", source="custom-crm")
    found = await on_the_log(house_broker.address, at_least=1, containing=b"-ada")

    assert (dry.status_code, dry.json()["accepted"], answer.status_code) == (202, 1, 202)
    assert [record.value.count(b'"/hooks/custom-crm"') for record in found if b"wet-ada" in record.value] == [1]
    assert not [record for record in found if b"dry-ada" in record.value]


def test_rows_that_are_refused_or_skipped_are_told(house: Ingest) -> None:
    rows = hubspot(id="mix-1"), hubspot(id="mix-2", loginAt="soon"), hubspot(id="mix-3", loginSucceeded=False)
    more = hubspot(id="mix-4", loginSucceeded=False, userId=None, email=None)
    answer = send(house, export("hubspot-logins", *rows, more), format="hubspot-logins")

    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 2,
        "rejected": [{"index": 1, "id": None, "pointer": "/loginAt", "reason": "must be a date and time"}],
        "skipped": 1,
        "newest": "2026-03-02T08:15:30.123000Z",
    }


def test_when_no_row_is_good_it_is_unprocessable(house: Ingest) -> None:
    answer = send(house, b"user,time\nada,soon\n", format="csv")

    assert answer.status_code == 422
    assert answer.json()["rejected"][0]["index"] == 0


def test_a_body_may_be_packed(house: Ingest) -> None:
    packed = {"content-encoding": "gzip"}

    assert send(house, gzip.compress(mail("packed")), packed, format="csv").json()["accepted"] == 1


REFUSED = {
    "no format": ({}, {}, mail("x"), 400, "The format must be one of csv, dataverse-audit"),
    "an unknown format": ({"format": "xlsx"}, {}, mail("x"), 400, "The format must be one of"),
    "an unknown parameter": ({"format": "csv", "kind": "csv"}, {}, mail("x"), 400, "The query takes"),
    "a strange dry run": ({"format": "csv", "dry_run": "1"}, {}, mail("x"), 400, "The query takes"),
    "another table": ({"format": "csv"}, {}, b"a,b\n1,2\n", 400, "lacks the column user or email of csv"),
    "not UTF-8": ({"format": "csv"}, {}, b"user,time\n\xff,1\n", 400, "is not text in UTF-8"),
    "no gzip": ({"format": "csv"}, {"content-encoding": "gzip"}, b"x", 400, "gzip"),
    "an unknown source": ({"format": "csv", "source": "nothing"}, {}, mail("x"), 404, "no such source"),
    "an empty source": ({"format": "csv", "source": ""}, {}, mail("x"), 404, "no such source"),
    "another key": ({"format": "csv"}, {"authorization": f"Bearer {key('nobody00')}"}, mail("x"), 401, "key"),
    "no tenant": ({"format": "csv"}, {"authorization": f"Bearer {ADMIN}"}, mail("x"), 400, "Uptake-Tenant"),
    "an image": ({"format": "csv"}, {"content-type": "image/png"}, mail("x"), 415, "text/csv"),
    "Latin-1": ({"format": "csv"}, {"content-type": "text/csv; charset=latin-1"}, mail("x"), 415, "UTF-8"),
    "too much": ({"format": "csv"}, {}, b"user,time\n" + b"x" * 5_300_000, 413, "5 MiB"),
    "too many rows": ({"format": "csv"}, {}, b"user,time\n" + b"a,b\n" * (MOST_ROWS + 1), 413, "10,000 rows"),
}


@pytest.mark.parametrize(("query", "headers", "body", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_says_why(
    house: Ingest, query: dict[str, str], headers: dict[str, str], body: bytes, status: int, words: str
) -> None:
    answer = send(house, body, headers, **query)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.text


def test_a_source_of_another_tenant_does_not_exist(house: Ingest) -> None:
    headers = {"authorization": f"Bearer {ADMIN}", "uptake-tenant": "globex"}

    assert send(house, mail("x"), headers, format="csv", source="odoo-sales").status_code == 404
    assert send(house, mail("globex-x"), headers, format="csv").status_code == 202


def test_only_posts_are_served(house: Ingest) -> None:
    answer = httpx.get(f"{house.url}/v1/logins?format=csv", headers=ACME_HEADERS)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_garbage_is_never_an_error_of_ours(house: Ingest) -> None:
    for body in (
        b"",
        b"[" * 20_000,
        b"{}",
        b'{"value": [1, null, {}]}',
        b"\x00" * 99,
        table({"user": "\x00"}).encode(),
    ):
        for form in ROWS:
            assert send(house, body, format=form).status_code in (400, 422)
