"""Reading filters, and what satisfies them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.scim.attributes import ENTERPRISE, GROUPS, USERS
from services.api.scim.errors import ScimError
from services.api.scim.filters import parse
from services.api.scim.matching import matches, mentions, narrowed

ANNA: dict[str, Any] = {
    "id": "7",
    "userName": "Anna@acme.example",
    "externalId": "Ext-1",
    "active": True,
    "title": "Account Executive",
    "name": {"givenName": "Anna", "familyName": "Snelling"},
    "emails": [
        {"value": "anna@acme.example", "type": "work", "primary": True},
        {"value": "anna@home.example", "type": "home"},
    ],
    ENTERPRISE: {"department": "North", "manager": {"value": "9"}},
    "meta": {"created": "2026-03-02T12:00:00.000Z", "lastModified": "2026-03-02T13:00:00.000Z"},
}

TRUE = [
    'userName eq "anna@ACME.example"',
    'USERNAME EQ "anna@acme.example"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "anna@acme.example"',
    'userName sw "anna" and userName ew "example" and userName co "@acme"',
    'externalId eq "Ext-1"',
    'id eq "7" and active eq true',
    'active eq "True"',
    "active pr",
    "not (nickName pr)",
    "not(active eq false)",
    'nickName ne "x"',
    "nickName eq null",
    'emails.value eq "ANNA@home.example"',
    'emails eq "anna@home.example"',
    'emails[type eq "work"].value eq "anna@acme.example"',
    'emails[type eq "work" and value co "acme"]',
    'emails[type eq "fax" or primary eq true]',
    'emails[not (type eq "work")]',
    'name.familyName eq "snelling"',
    f'{ENTERPRISE}:department eq "north"',
    'department eq "North"',
    'manager eq "9"',
    'manager.value eq "9"',
    'title co "exec" or title eq "x"',
    'title eq "x" or title eq "y" or (title eq "z" or title sw "Acc")',
    'meta.lastModified gt "2026-03-02T12:30:00Z"',
    'meta.lastModified le "2026-03-02T14:00:00+01:00"',
    'userName gt "a" and userName lt "b"',
    'userName eq "\\u0041nna@acme.example"',
    'phoneNumbers[type eq "work"].value eq "5" or id eq "7"',
]
FALSE = [
    'externalId eq "ext-1"',
    'emails[type eq "home"].value eq "anna@acme.example"',
    'emails[type eq "home" and primary eq true]',
    'active eq "yes"',
    "active eq 1",
    "not (userName pr)",
    'nickName eq ""',
    'active gt "a"',
    'id eq "7" and not (active eq true)',
    'title co "q" or title co "z" and active eq true',
    "userName eq 5",
]
BAD = [
    "",
    " ",
    "userName",
    "userName eq",
    "eq x",
    'userName xx "a"',
    'userName eq "a',
    "userName eq 'a'",
    "userName eq a",
    'userName eq "a" and',
    'userName eq "a" or or id eq "b"',
    'userName eq "a" id eq "b"',
    '(userName eq "a"',
    'userName eq "a")',
    'emails[type eq "work"',
    "emails[]",
    'emails[shoe eq "a"]',
    'emails[emails[type eq "a"]]',
    'shoeSize eq "4"',
    'name.shoe eq "4"',
    "not userName pr",
    'userName eq "\\x"',
    "(" * 5000 + 'id eq "a"' + ")" * 5000,
    "not (" * 300 + "id pr" + ")" * 300,
    'id eq "' + "x" * 10_000 + '"',
    "userName eq \x00",
    'urn:unknown:2.0:User:x eq "a"',
]


@pytest.mark.parametrize("text", TRUE)
def test_a_filter_holds(text: str) -> None:
    assert matches(parse(text, USERS), ANNA)


@pytest.mark.parametrize("text", FALSE)
def test_a_filter_does_not_hold(text: str) -> None:
    assert not matches(parse(text, USERS), ANNA)


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:30])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as refused:
        parse(text, USERS)

    assert (refused.value.status_code, refused.value.scim_type) == (400, "invalidFilter")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName eq "a"', ("userName", "a")),
        ('active eq true and (title pr) and externalId eq "e"', ("externalId", "e")),
        ('emails[type eq "work"].value eq "m"', ("emails", "m")),
        ('emails.value eq "m"', ("emails", "m")),
        ('userName eq "a" or id eq "b"', None),
        ('not (userName eq "a")', None),
        ('userName sw "a"', None),
        ('emails[type eq "work"]', None),
        ('emails.type eq "work"', None),
    ],
)
def test_a_filter_tells_by_which_value_users_are_found(text: str, found: tuple[str, str] | None) -> None:
    assert narrowed(parse(text, USERS), "userName", "externalId", "id", "emails") == found


def test_a_filter_tells_whether_it_asks_for_members() -> None:
    assert mentions(parse('id eq "a" and not (members eq "b")', GROUPS), "members")
    assert mentions(parse('members[value eq "b"]', GROUPS), "members")
    assert not mentions(parse('displayName eq "members"', GROUPS), "members")


WORDS = ["userName", "emails", "eq", "and", "or", "not", "(", ")", "[", "]", '"a"', "true", "null", "5", ".value", "pr"]


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with contextlib.suppress(ScimError):
        assert matches(parse(text, USERS), ANNA) in (True, False)


def test_a_filter_of_very_many_conditions_is_refused() -> None:
    parse(" or ".join(['userName eq "a"'] * 50), USERS)

    with pytest.raises(ScimError, match="conditions"):
        parse(" or ".join(['userName eq "a"'] * 51), USERS)
