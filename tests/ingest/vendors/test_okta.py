"""Okta: which sign-ons are logins to the CRM, and how a hook is verified."""

import json
from typing import Any

import pytest

from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import Delivery, MalformedError, Reply
from tests.ingest.deliveries import SECRET, delivery, source, taken, verified
from tests.ingest.vendors.samples_okta import CRM, body, entry, hook, okta

OKTA = VENDORS["okta"]
OTHER = {**CRM, "id": "0oa-wiki", "alternateId": "Wiki", "displayName": "Wiki"}


def told(*entries: Any, applications: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    events, bad = taken(okta(*applications), hook(body(*entries)))
    assert not bad
    return events


def challenged(challenge: str | None, method: str = "GET") -> Reply | None:
    headers = {} if challenge is None else {"x-okta-verification-challenge": challenge}
    asked: Delivery = delivery(method=method, headers=headers)
    assert OKTA.greet is not None
    return OKTA.greet(okta(), asked)


def test_a_sign_on_to_the_crm_is_a_login_of_the_person_who_signed_on() -> None:
    sign_on = entry()
    [event] = told(sign_on)

    assert event == {
        "specversion": "1.0",
        "tenant": "acme",
        "source": "/hooks/crm",
        "id": sign_on["uuid"],
        "type": "crm.session.login",
        "time": "2026-03-02T09:00:11Z",
        "data": {
            "user": "ann.wren@example.com",
            "email": "ann.wren@example.com",
            "method": "sso",
            "origin": "ui",
            "origin_confidence": "inferred",
            "environment": "production",
        },
    }


@pytest.mark.parametrize(
    "declared",
    [CRM["id"], CRM["displayName"], CRM["alternateId"], "SALESFORCE production"],
    ids=["id", "displayName", "alternateId", "name in another case"],
)
def test_an_application_is_declared_by_id_or_by_name(declared: str) -> None:
    assert len(told(entry(), applications=(declared,))) == 1


def test_ids_are_compared_exactly() -> None:
    assert told(entry(), applications=(CRM["id"].upper(),)) == []


@pytest.mark.parametrize(
    ("result", "types"),
    [
        ("SUCCESS", ["crm.session.login"]),
        ("FAILURE", ["crm.session.login_failed"]),
        ("SKIPPED", []),
        ("ALLOW", []),
        ("UNKNOWN", []),
    ],
)
def test_the_outcome_tells_a_login_from_a_failed_one(result: str, types: list[str]) -> None:
    assert [event["type"] for event in told(entry(outcome={"result": result}))] == types


@pytest.mark.parametrize("result", ["SUCCESS", "FAILURE"])
def test_sign_ons_to_other_applications_are_kept_out(result: str) -> None:
    assert told(entry(target=[OTHER], outcome={"result": result})) == []


@pytest.mark.parametrize("target", [None, [], {}, "x", [None], [1], [{}], [{**CRM, "type": "User"}]], ids=repr)
def test_a_sign_on_to_nothing_is_kept_out(target: Any) -> None:
    assert told(entry(target=target)) == []


def test_without_declared_applications_no_sign_on_counts() -> None:
    assert taken(source("okta"), hook(body(entry()))) == ([], [])


@pytest.mark.parametrize(
    "kind", ["user.session.start", "user.lifecycle.activate", "group.user_membership.add", "application.user.add"]
)
def test_other_entries_of_the_log_are_kept_out(kind: str) -> None:
    assert told(entry(kind)) == []


def test_software_that_signs_on_is_kept_out() -> None:
    assert told(entry(actor={"type": "PublicClientApp", "alternateId": "robot@example.com"})) == []


def test_a_failure_of_nobody_known_has_no_user() -> None:
    [event] = told(entry(actor={"type": "User", "alternateId": "unknown"}, outcome={"result": "FAILURE"}))

    assert not {"user", "email"} & event["data"].keys()


def test_a_login_name_that_is_no_address_is_no_email() -> None:
    [event] = told(entry(actor={"type": "User", "alternateId": "ann"}))

    assert event["data"]["user"] == "ann"
    assert "email" not in event["data"]


def test_a_repeated_delivery_has_the_same_events_whatever_its_envelope() -> None:
    entries = [entry(), entry()]

    assert told(*entries) == told(*entries)
    assert len({event["id"] for event in told(*entries, *entries)}) == 2


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"eventType": None}, "/eventType"),
        ({"eventType": 7}, "/eventType"),
        ({"uuid": None}, "/uuid"),
        ({"uuid": 12345678}, "/uuid"),
        ({"uuid": "a b c d e f"}, "/uuid"),
        ({"published": None}, "/published"),
        ({"published": 1772442011000}, "/published"),
        ({"published": "yesterday, in the evening"}, "/published"),
        ({"published": "2026-03-02T09:00:11"}, "/published"),
        ({"outcome": None}, "/outcome/result"),
        ({"outcome": "SUCCESS"}, "/outcome/result"),
        ({"outcome": {"result": True}}, "/outcome/result"),
        ({"actor": None}, "/actor/alternateId"),
        ({"actor": {"alternateId": 2**53 + 1}}, "/actor/alternateId"),
        ({"actor": [[]]}, "/actor/alternateId"),
    ],
)
def test_a_wrong_entry_costs_itself_only_and_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    events, bad = taken(okta(), hook(body(entry(**changes), entry())))

    assert [each.pointer for each in bad] == [f"/data/events/0{pointer}"]
    assert len(events) == 1


def test_a_wrong_entry_about_another_application_is_nobodys_matter() -> None:
    assert taken(okta(), hook(body(entry(target=[OTHER], uuid=None, actor=None)))) == ([], [])


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"data":{"events":[', '{"data":NaN}', "{}", '{"data":[]}', '{"data":{"events":{}}}']
)
def test_a_body_without_entries_is_malformed_and_still_answered_with_200(content: str) -> None:
    with pytest.raises(MalformedError):
        taken(okta(), hook(content))
    assert OKTA.manners.malformed == OKTA.manners.accepted == Reply(200, b"")


def test_a_flood_of_entries_is_malformed() -> None:
    with pytest.raises(MalformedError):
        taken(okta(), hook(body(*([1] * 2501))))


def test_the_secret_stands_raw_in_authorization() -> None:
    assert verified(okta(), hook(body(entry())))
    assert verified(source("okta", "the-next-secret", SECRET), hook(body(entry())))
    for wrong in ("", SECRET[:-1], SECRET.upper(), f"Bearer {SECRET}", f"{SECRET} "):
        assert not verified(okta(), hook(body(entry()), secret=wrong))
    assert not verified(okta(), delivery(body(entry())))


def test_the_challenge_of_the_verification_comes_back() -> None:
    challenge = "GUgI1cg9_rXVJbCCqzG46-0z"
    reply = challenged(challenge)

    assert reply is not None
    assert (reply.status, reply.content_type) == (200, b"application/json")
    assert json.loads(reply.body) == {"verification": challenge}


@pytest.mark.parametrize("challenge", [None, "", "x" * 513, "a b", "a\r\nset-cookie: b", "é", "a\x00"])
def test_what_is_no_challenge_is_not_repeated(challenge: str | None) -> None:
    reply = challenged(challenge)

    assert reply is not None
    assert reply.status == 400
    assert not challenge or challenge.encode() not in reply.body


def test_markup_in_a_challenge_stays_json() -> None:
    reply = challenged('"><script>alert(1)</script>')

    assert reply is not None
    assert json.loads(reply.body) == {"verification": '"><script>alert(1)</script>'}
    assert reply.content_type == b"application/json"


def test_a_post_is_a_delivery_even_with_a_challenge() -> None:
    assert challenged("GUgI1cg9", "POST") is None
