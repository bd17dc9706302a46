"""Salesforce outbound messages: from the SOAP that a flow sends to the events that managers count."""

from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.salesforce import long_id
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import SECRET, delivery, source, taken, verified
from tests.ingest.vendors.samples_salesforce_outbound import (
    DEAL,
    MAYA,
    PROLOG,
    SESSION,
    message,
    notification,
    posted,
)

VENDOR = VENDORS["salesforce-outbound"]
ORIGIN = source("salesforce-outbound")


def read(body: str | bytes, **options: Any) -> list[dict[str, Any]]:
    """Return the events of ``body``."""
    events, bad = taken(source("salesforce-outbound", **options), posted(body))

    assert not bad
    return events


def test_a_message_tells_who_changed_which_record_when() -> None:
    values = {
        "Name": "Smith & Sons <Ltd>",
        "StageName": "Prospecting",
        "NextStep": None,
        "Description": " ",
        "A__c": "tbd",
    }

    [event] = read(message(notification(1, values)))

    assert event["type"] == "crm.record.updated"
    assert event["time"] == "2026-03-02T09:00:00Z"
    assert event["data"] == {
        "user": MAYA,
        "object": "opportunity",
        "record": DEAL,
        "stage": "Prospecting",
        "origin": "unknown",
        "origin_confidence": "none",
        "environment": "production",
        "fields": {
            "Name": "filled",
            "StageName": "filled",
            "NextStep": "empty",
            "Description": "empty",
            "A__c": "placeholder",
        },
    }


def test_a_message_of_a_hundred_notifications_is_a_hundred_events() -> None:
    events = read(message(*(notification(number) for number in range(100))))

    assert len({event["id"] for event in events}) == 100


@pytest.mark.parametrize(
    ("values", "kind", "user", "time"),
    [
        ({"CreatedDate": "2026-03-02T09:00:00.000Z"}, "created", MAYA, "2026-03-02T09:00:00Z"),
        ({"CreatedDate": None}, "updated", MAYA, "2026-03-02T09:00:00Z"),
        ({"LastModifiedDate": None, "CreatedDate": None, "LastModifiedById": None}, "updated", None, None),
        (
            {"LastModifiedDate": None, "SystemModstamp": "2026-03-02T09:00:01.000Z"},
            "updated",
            MAYA,
            "2026-03-02T09:00:01Z",
        ),
        ({"IsDeleted": "true"}, "deleted", MAYA, "2026-03-02T09:00:00Z"),
        ({"IsDeleted": "false"}, "updated", MAYA, "2026-03-02T09:00:00Z"),
        (
            {"CreatedDate": "2026-03-02T09:00:00Z", "LastModifiedById": None, "CreatedById": MAYA[:15]},
            "created",
            MAYA,
            "2026-03-02T09:00:00Z",
        ),
    ],
)
def test_the_four_audit_fields_say_what_happened(
    values: dict[str, str | None], kind: str, user: str | None, time: str | None
) -> None:
    [event] = read(message(notification(1, values)))

    assert (event["type"], event["data"].get("user"), event.get("time")) == (f"crm.record.{kind}", user, time)


def test_a_message_that_is_sent_again_with_newer_values_is_the_same_event() -> None:
    [first] = read(message(notification(1)))
    [again] = read(message(notification(1, {"LastModifiedDate": "2026-03-02T11:00:00Z"}), session=None))

    assert first["id"] == again["id"]


def test_a_declared_user_is_software() -> None:
    [event] = read(message(notification()), software_users=[MAYA[:15]])

    assert event["data"]["origin"] == "automation"


def test_a_bad_notification_costs_no_neighbour() -> None:
    anonymous = notification(2).replace("<Id>04l5e00000Ab002AAA</Id>", "")
    untyped = notification(3).replace(' xsi:type="sf:Opportunity"', "")
    without_id = notification(4).replace(f"<sf:Id>{DEAL}</sf:Id>", "")

    events, bad = taken(ORIGIN, posted(message(notification(1), anonymous, untyped, without_id, notification(5))))

    assert len(events) == 2
    assert [each.pointer for each in bad] == ["/notifications/1", "/notifications/2", "/notifications/3"]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "a billion laughs": message(
        notification(1, {}).replace(DEAL, "&l9;"), prolog=f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'
    ),
    "an entity from outside": message(
        notification(1, {}).replace(DEAL, "&out;"), prolog='<!DOCTYPE x [<!ENTITY out SYSTEM "file:///etc/passwd">]>'
    ),
    "a parameter entity": message(prolog='<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/x">%p;]>'),
    "a document type that is harmless": message(notification(), prolog="<!DOCTYPE x>"),
    "an entity that nobody declared": message(notification().replace(DEAL, "&nbsp;")),
    "truncated": message(notification())[:-40],
    "cut in a notification": message(notification())[:700],
    "two documents": message(notification()) * 2,
    "no notification": message(),
    "too many notifications": message(*[notification()] * 2501),
    "too deep": message("<x>" * 100_000),
    "too many elements": message("<x/>" * 100_000),
    "another encoding": message(notification(1, {"Name": "Bj\u00f6rn"})).encode("latin-1"),
    "sixteen bits": message(notification(), prolog='<?xml version="1.0" encoding="UTF-16"?>').encode("utf-16"),
    "sixteen bits without a mark": message(notification(), prolog="").encode("utf-16-le"),
    "not XML": b'{"Envelope": 1}',
    "nothing": b"",
    "another envelope": b'<s:Envelope xmlns:s="x"><s:Body><notifications/></s:Body></s:Envelope>',
    "a NUL": message(notification(1, {"Name": "\x00"})),
    "a NUL by number": message(notification()).replace(DEAL, "&#0;"),
    "an unknown prefix": message(notification()).replace("sf:Id", "zz:Id"),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_harmless_message_is_refused(body: str | bytes) -> None:
    with pytest.raises(MalformedError) as refused:
        taken(ORIGIN, posted(body))

    assert len(str(refused.value)) < 80


def test_text_in_cdata_and_nested_fields_is_read() -> None:
    address = "<sf:BillingAddress><sf:city>Oslo</sf:city></sf:BillingAddress><sf:Name><![CDATA[a < b]]></sf:Name>"

    [event] = read(message(notification().replace("</sObject>", f"{address}</sObject>")))

    assert event["data"]["fields"] == {"BillingAddress": "filled", "Name": "filled"}


def test_a_declared_encoding_of_plain_text_does_no_harm() -> None:
    prolog = '<?xml version="1.0" encoding="ISO-8859-1"?>'

    assert len(read("\ufeff".encode() + message(notification()).encode())) == 1
    assert len(read(message(notification(), prolog=prolog))) == 1
    assert prolog != PROLOG


@pytest.mark.parametrize(
    "body",
    [
        message(notification()),
        message(notification(), session=f"<![CDATA[{SESSION}]]>"),
        message(notification(), session=f"<!-- -->{SESSION}"),
        message(notification(), session=SESSION.replace("!", "&#33;")),
        message(notification())[: message(notification()).index("secret_Session") + 14],
        message(notification()).replace("<SessionId>", '<s:SessionId xmlns:s="x">').replace("</S", "</s:S"),
        message(notification(1, {"Link__c": f"https://x?sid={SESSION.replace('!', '%21')}"}), session=None),
        message(notification(), session=f"<x/>{SESSION}").replace("</SessionId>", "</SessionId >"),
        message(notification()).encode("utf-16"),
    ],
)
def test_the_session_of_the_sender_is_never_kept(body: str | bytes) -> None:
    assert VENDOR.scrub is not None
    raw = body if isinstance(body, bytes) else body.encode()
    kept = VENDOR.scrub(raw)

    assert b"secret_Session" not in kept
    assert b"s\x00e\x00c\x00r\x00e\x00t" not in kept
    if b"</soapenv:Envelope>" in raw:
        assert taken(ORIGIN, posted(kept))[0] == taken(ORIGIN, posted(raw))[0]


def test_salesforce_is_answered_in_soap() -> None:
    manners = VENDOR.manners
    outbound = "{http://soap.sforce.com/2005/09/outbound}"

    assert fromstring(manners.accepted.body).findtext(f".//{outbound}notificationsResponse/{outbound}Ack") == "true"  # noqa: S314
    assert fromstring(manners.malformed.body).findtext(".//faultcode") == "soapenv:Client"  # noqa: S314
    assert (manners.accepted.status, manners.malformed.status, manners.unauthorized.status) == (200, 500, 401)
    assert manners.overloaded.status == 503
    assert {manners.accepted.content_type, manners.malformed.content_type} == {b"text/xml; charset=UTF-8"}


def test_only_the_whole_secret_at_the_end_of_the_address_opens() -> None:
    shown = [SECRET, SECRET[:-1] + "E", SECRET.upper(), "", None]

    assert [verified(ORIGIN, delivery("", secret=each)) for each in shown] == [True, *[False] * 4]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("00530000003xqwT", "00530000003xqwTAAQ"),
        ("00530000003xqwTAAQ", "00530000003xqwTAAQ"),
        ("00530000003xqwTaaq", "00530000003xqwTAAQ"),
        (" 00D300000006Ufq ", "00D300000006UfqEAE"),
        ("00D300000006UfqEAX", "00D300000006UfqEAX"),
        ("000000000000000AAA", None),
        ("000000000000000", None),
        ("AAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAA555"),
        ("maya", "maya"),
        ("00530000003xqw\u00c4", "00530000003xqw\u00c4"),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_an_id_is_the_same_with_15_and_with_18_characters(given: object, known: str | None) -> None:
    assert long_id(given) == known
