"""Applying operations to a User."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.scim.attributes import ENTERPRISE, USER
from services.api.scim.errors import ScimError
from services.api.scim.operations import operations
from services.api.scim.patching import applied

WORK = {"value": "anna@acme.example", "type": "work", "primary": True}
HOME = {"value": "anna@home.example", "type": "home"}
ANNA: dict[str, Any] = {
    "userName": "anna",
    "active": True,
    "title": "Seller",
    "name": {"givenName": "Anna", "familyName": "Snelling"},
    "emails": [WORK, HOME],
    ENTERPRISE: {"department": "North", "manager": {"value": "9", "displayName": "Bo"}},
}


def patched(*listed: dict[str, Any], before: dict[str, Any] = ANNA) -> dict[str, Any]:
    kept = copy.deepcopy(before)
    after = applied(before, operations({"Operations": list(listed)}))
    assert before == kept
    return after


def op(verb: str, path: str | None = None, value: Any = ...) -> dict[str, Any]:
    return {
        "op": verb,
        **({} if path is None else {"path": path}),
        **({} if value is ... else {"value": value}),
    }


CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a text is replaced", op("Replace", "title", "Lead"), {"title": "Lead"}),
    ("a text is removed", op("Remove", "title"), {"title": None}),
    ("null removes", op("replace", "title", None), {"title": None}),
    ("the empty text removes", op("replace", "title", ""), {"title": None}),
    ("a name is found in any case", op("REPLACE", "TITLE", "Lead"), {"title": "Lead"}),
    ("a name is found behind its URN", op("add", f"{USER}:title", "Lead"), {"title": "Lead"}),
    ("a word is a truth value", op("Add", "active", "False"), {"active": False}),
    ("no path, a truth value", op("replace", value={"active": False}), {"active": False}),
    ("no path, a word", op("Replace", value={"ACTIVE": "false"}), {"active": False}),
    (
        "a part is replaced",
        op("replace", "name.givenName", "Ann"),
        {"name": {"givenName": "Ann", "familyName": "Snelling"}},
    ),
    (
        "parts that are not named stay",
        op("replace", "name", {"givenName": "Ann"}),
        {"name": {"givenName": "Ann", "familyName": "Snelling"}},
    ),
    ("a part is removed", op("remove", "name.givenName"), {"name": {"familyName": "Snelling"}}),
    (
        "no path, dots",
        op("replace", value={"name.givenName": "Ann"}),
        {"name": {"givenName": "Ann", "familyName": "Snelling"}},
    ),
    (
        "the extension by a colon",
        op("replace", f"{ENTERPRISE}:department", "South"),
        {ENTERPRISE: {"department": "South", "manager": {"value": "9", "displayName": "Bo"}}},
    ),
    (
        "the extension by a dot",
        op("replace", f"{ENTERPRISE}.department", "South"),
        {ENTERPRISE: {"department": "South", "manager": {"value": "9", "displayName": "Bo"}}},
    ),
    (
        "the extension as a whole",
        op("add", ENTERPRISE, {"department": "South"}),
        {ENTERPRISE: {"department": "South", "manager": {"value": "9", "displayName": "Bo"}}},
    ),
    (
        "no path, the extension as an object",
        op("add", value={ENTERPRISE: {"department": "South"}}),
        {ENTERPRISE: {"department": "South", "manager": {"value": "9", "displayName": "Bo"}}},
    ),
    (
        "no path, the extension by a colon",
        op("add", value={f"{ENTERPRISE}:department": "South"}),
        {ENTERPRISE: {"department": "South", "manager": {"value": "9", "displayName": "Bo"}}},
    ),
    ("the extension is removed", op("remove", ENTERPRISE), {ENTERPRISE: None}),
    (
        "another manager has another name",
        op("replace", f"{ENTERPRISE}:manager", "7"),
        {ENTERPRISE: {"department": "North", "manager": {"value": "7"}}},
    ),
    (
        "the manager's value is replaced",
        op("replace", f"{ENTERPRISE}:manager.value", "7"),
        {ENTERPRISE: {"department": "North", "manager": {"value": "7"}}},
    ),
    (
        "a value is replaced by its type",
        op("Replace", 'emails[type eq "work"].value', "a@b"),
        {"emails": [{**WORK, "value": "a@b"}, HOME]},
    ),
    (
        "a value that is not there is made",
        op("Replace", 'emails[type eq "other"].value', "a@b"),
        {"emails": [WORK, HOME, {"type": "other", "value": "a@b"}]},
    ),
    (
        "a value is added",
        op("Add", "emails", [{"value": "a@b", "type": "other"}]),
        {"emails": [WORK, HOME, {"value": "a@b", "type": "other"}]},
    ),
    ("a value that is there is not added", op("add", "emails", [HOME]), {"emails": [WORK, HOME]}),
    (
        "one value is the primary one",
        op("add", "emails", {"value": "a@b", "primary": True}),
        {"emails": [{"value": WORK["value"], "type": "work"}, HOME, {"value": "a@b", "primary": True}]},
    ),
    ("all values are replaced", op("replace", "emails", [HOME]), {"emails": [HOME]}),
    ("a value is removed by a filter", op("remove", 'emails[type eq "work"]'), {"emails": [HOME]}),
    ("the value of a value is removed", op("remove", 'emails[type eq "work"].value'), {"emails": [HOME]}),
    ("a value that is not there is gone already", op("remove", 'emails[type eq "fax"]'), {"emails": [WORK, HOME]}),
    ("a listed value is removed", op("Remove", "emails", [{"value": HOME["value"]}]), {"emails": [WORK]}),
    ("all values are removed", op("remove", "emails"), {"emails": None}),
    (
        "a whole value is replaced",
        op("replace", 'emails[type eq "home"]', {"value": "a@b", "type": "home"}),
        {"emails": [WORK, {"value": "a@b", "type": "home"}]},
    ),
    ("what is not kept changes nothing", op("add", 'phoneNumbers[type eq "work"].value', "5"), {}),
    ("a password changes nothing", op("replace", "password", "secret"), {}),
    ("no path, what is unknown changes nothing", op("replace", value={"shoeSize": 4, "urn:x:y:z": {"a": 1}}), {}),
    ("no path, what cannot be changed stays", op("replace", value={"id": "5", "groups": [], "schemas": []}), {}),
]


@pytest.mark.parametrize(("operation", "after"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_an_operation_changes_a_user(operation: dict[str, Any], after: dict[str, Any]) -> None:
    expected = {name: value for name, value in {**ANNA, **after}.items() if value is not None}

    assert patched(operation) == expected


REFUSED: list[tuple[str, Any, str]] = [
    ("an unknown attribute", op("replace", "shoeSize", 4), "invalidPath"),
    ("an unknown part", op("replace", "name.shoe", "x"), "invalidPath"),
    ("an unknown extension", op("replace", "urn:x:2.0:User:tag", "x"), "invalidPath"),
    ("half a filter", op("replace", "emails[type eq", "x"), "invalidPath"),
    ("a filter and something behind", op("replace", 'emails[type eq "a"]value', "x"), "invalidPath"),
    ("two filters", op("replace", 'emails[type eq "a"][type eq "b"]', "x"), "invalidPath"),
    ("a filter of one value", op("replace", 'name[givenName eq "a"].familyName', "x"), "invalidPath"),
    ("a condition", op("replace", 'userName eq "a"', "x"), "invalidPath"),
    ("a filter that makes nothing", op("replace", 'emails[type ne "home" and type ne "work"].value', "x"), "noTarget"),
    ("a filter that cannot hold", op("replace", 'emails[type eq "a" and type eq "b"].value', "x"), "invalidPath"),
    ("a removal of nothing", op("remove"), "noTarget"),
    ("the id", op("replace", "id", "5"), "mutability"),
    ("the groups", op("add", "groups", [{"value": "5"}]), "mutability"),
    ("the meta data", op("replace", "meta.version", "5"), "mutability"),
    ("no value", op("add", "title"), "invalidValue"),
    ("an object for a text", op("add", "title", {"a": 1}), "invalidValue"),
    ("a truth value for a text", op("add", "title", value=True), "invalidValue"),
    ("a text for a truth value", op("add", "active", "perhaps"), "invalidValue"),
    ("a number for a truth value", op("add", "active", 1), "invalidValue"),
    ("a text for an object", op("add", "name", "Anna"), "invalidValue"),
    ("a long text", op("add", "title", "x" * 257), "invalidValue"),
    ("a NUL", op("add", "title", "a\x00b"), "invalidValue"),
    ("half a surrogate pair", op("add", "title", "\ud800"), "invalidValue"),
    ("many values", op("add", "emails", [{"value": f"{n}@b"} for n in range(99)]), "invalidValue"),
    ("two values for one", op("replace", 'emails[type eq "work"]', [WORK, HOME]), "invalidValue"),
    ("an unknown operation", op("move", "title", "x"), "invalidSyntax"),
    ("an operation that is a number", {"op": 5}, "invalidSyntax"),
    ("a list without a path", op("add", value=["a"]), "invalidSyntax"),
    ("a path that is a number", {"op": "add", "path": 5, "value": 1}, "invalidPath"),
    ("a list for the extension", op("add", ENTERPRISE, ["a"]), "invalidSyntax"),
    ("no object", "replace", "invalidSyntax"),
]


@pytest.mark.parametrize(("operation", "word"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_an_operation_is_refused_in_the_words_of_scim(operation: Any, word: str) -> None:
    with pytest.raises(ScimError) as refused:
        patched(operation)

    assert (refused.value.status_code, refused.value.scim_type) == (400, word)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"Operations": []}, {"Operations": {}}, {"Operations": None}])
def test_a_patch_lists_operations(body: Any) -> None:
    with pytest.raises(ScimError):
        operations(body)


def test_operations_follow_each_other_and_are_named_in_any_case() -> None:
    after = applied(ANNA, operations({"operations": [{"OP": "remove", "PATH": "emails"}, op("add", "emails", "a@b")]}))

    assert after["emails"] == [{"value": "a@b"}]


PATHS = ["title", "emails", 'emails[type eq "work"].value', "name", "name.givenName", "active", f"{ENTERPRISE}:manager"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["value", "type", "x"]), inner),
    max_leaves=4,
)
ANY = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove"]), "path": st.sampled_from(PATHS) | st.none(), "value": VALUES}
)


@given(st.lists(ANY, min_size=1, max_size=4))
def test_any_operations_are_applied_or_refused(listed: list[dict[str, Any]]) -> None:
    with contextlib.suppress(ScimError):
        after = patched(*listed)

        assert all(value not in (None, [], {}) for value in after.values())
        assert sum(bool(entry.get("primary")) for entry in after.get("emails", [])) <= 1
