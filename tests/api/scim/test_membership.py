"""The members of a group are a set, however the operations that change them are spelled."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.scim.errors import ScimError
from services.api.scim.membership import Group, applied
from services.api.scim.operations import operations

MEMBERS = ["u1", "u2", "u3", "U3", "u-4"]
Change = tuple[Callable[[set[str]], set[str]], dict[str, Any]]


def listed(members: list[str], spelling: int) -> Any:
    """Return members as a list of objects, of texts, with more than is needed, or one alone."""
    if spelling == 1:
        return list(members)
    if spelling == 2:
        return [{"$ref": None, "value": member, "display": "x", "type": "User"} for member in members]
    if spelling == 3 and len(members) == 1:
        return {"Value": members[0]}
    return [{"value": member} for member in members]


@st.composite
def change(draw: st.DrawFn) -> Change:
    """Draw a change of a set and one of its spellings."""
    verb = draw(st.sampled_from(["add", "remove", "replace"]))
    op = draw(st.sampled_from([verb, verb.capitalize(), verb.upper()]))
    path = draw(st.sampled_from(["members", "Members", "urn:ietf:params:scim:schemas:core:2.0:Group:members"]))
    some = draw(st.lists(st.sampled_from(MEMBERS), max_size=3, unique=True))
    value = listed(some, draw(st.integers(0, 3)))
    if verb == "add":
        bare = draw(st.booleans())
        return (
            lambda held: held | set(some),
            {"op": op, "value": {"members": value}} if bare else {"op": op, "path": path, "value": value},
        )
    if verb == "replace":
        bare = draw(st.booleans())
        whole = {"id": "g", "displayName": "g", "members": value}
        return (
            lambda _: set(some),
            {"op": op, "value": whole} if bare else {"op": op, "path": path, "value": value},
        )
    if some and draw(st.booleans()):
        condition = " or ".join(f'value eq "{member}"' for member in some)
        return (lambda held: held - set(some), {"op": op, "path": f"{path}[{condition}]"})
    if draw(st.integers(0, 5)) == 0:
        return (lambda _: set(), {"op": op, "path": path})
    return (lambda held: held - set(some), {"op": op, "path": path, "value": value})


@given(st.sets(st.sampled_from(MEMBERS)), st.lists(change(), min_size=1, max_size=8), st.booleans())
def test_any_sequence_in_any_spelling_is_that_of_a_set(start: set[str], changes: list[Change], at_once: bool) -> None:  # noqa: FBT001
    held, group = set(start), Group("g", None, frozenset(start))
    for effect, _ in changes:
        held = effect(held)
    spelled = [operation for _, operation in changes]
    for part in [spelled] if at_once else [[operation] for operation in spelled]:
        group = applied(group, operations({"Operations": part}))

    assert group.members == held
    assert group.name == "g"


def test_a_removal_with_a_value_removes_one_and_one_without_removes_all() -> None:
    group = Group("g", None, frozenset({"u1", "u2"}))
    one = operations({"Operations": [{"op": "Remove", "path": "members", "value": [{"value": "u1"}]}]})
    every = operations({"Operations": [{"op": "Remove", "path": "members"}]})

    assert applied(group, one).members == {"u2"}
    assert applied(group, one[:0] + every).members == frozenset()


REFUSED = [
    ({"op": "add", "path": "members", "value": [{"display": "x"}]}, "invalidValue"),
    ({"op": "add", "path": "members", "value": [{"value": {"a": 1}}]}, "invalidValue"),
    ({"op": "add", "path": "members", "value": [["u1"]]}, "invalidValue"),
    ({"op": "add", "path": "members", "value": [None]}, "invalidValue"),
    ({"op": "add", "path": 'members[value eq "u1"]', "value": [{"value": "u2"}]}, "invalidPath"),
    ({"op": "replace", "path": 'members[value eq "u9"]', "value": [{"value": "u2"}]}, "noTarget"),
    ({"op": "remove", "path": "members.value"}, "invalidPath"),
    ({"op": "remove", "path": "members[value eq u1]"}, "invalidPath"),
    ({"op": "remove", "path": "displayName"}, "invalidValue"),
    ({"op": "replace", "path": "displayName", "value": "  "}, "invalidValue"),
    ({"op": "replace", "path": "displayName", "value": "x" * 257}, "invalidValue"),
    ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
    ({"op": "replace", "path": "colour", "value": "x"}, "invalidPath"),
    ({"op": "replace", "path": "userName", "value": "x"}, "invalidPath"),
]


@pytest.mark.parametrize(("operation", "word"), REFUSED)
def test_what_is_no_change_of_a_group_is_refused(operation: dict[str, Any], word: str) -> None:
    with pytest.raises(ScimError) as refused:
        applied(Group("g", None, frozenset({"u1"})), operations({"Operations": [operation]}))

    assert (refused.value.status_code, refused.value.scim_type) == (400, word)


def test_a_member_is_replaced_by_another() -> None:
    operation = {"op": "replace", "path": 'members[value eq "u1"]', "value": [{"value": "u2"}]}
    same = {"op": "replace", "path": 'members[value eq "u1"]', "value": [{"value": "u1"}]}
    group = Group("g", "e", frozenset({"u1", "u3"}))

    assert applied(group, operations({"Operations": [operation]})).members == {"u2", "u3"}
    assert applied(group, operations({"Operations": [same]})).members == {"u1", "u3"}


def test_the_name_and_the_key_of_the_identity_provider_change() -> None:
    changes = [
        {"op": "replace", "path": "externalId", "value": "e2"},
        {"op": "Replace", "value": {"id": "g", "displayName": "h", "meta": {}, "colour": "red"}},
        {"op": "remove", "path": "externalId"},
    ]
    assert applied(Group("g", "e"), operations({"Operations": changes[:2]})) == Group("h", "e2")
    assert applied(Group("g", "e"), operations({"Operations": changes})) == Group("h", None)


def test_thousands_of_operations_are_applied_in_linear_time() -> None:
    members = [f"u{n}" for n in range(5000)]
    changes = [{"op": "remove", "path": f'members[value eq "{member}"]'} for member in members[1:]]

    assert applied(Group("g", None, frozenset(members)), operations({"Operations": changes})).members == {"u0"}


def test_filters_that_go_through_all_members_again_and_again_are_refused() -> None:
    group = Group("g", None, frozenset(f"u{n}" for n in range(5000)))
    change = {"op": "remove", "path": 'members[value sw "nobody"]'}

    assert applied(group, operations({"Operations": [change] * 3})) == group
    with pytest.raises(ScimError) as refused:
        applied(group, operations({"Operations": [change] * 20_000}))
    assert (refused.value.status_code, refused.value.scim_type) == (400, "tooMany")
