"""Applying the operations of a PATCH to a Group: its members are a set, however the operations are spelled. Pure.

Entra ID removes one member by ``remove members`` with a value: only what is listed goes. Removing who is no member
and adding who is one change nothing, so a repeated request is harmless.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeGuard

from services.api.scim.attributes import GROUPS, read
from services.api.scim.errors import ScimError, invalid_path, invalid_syntax, invalid_value, no_target, read_only
from services.api.scim.filters import Compare, Filter
from services.api.scim.matching import matches
from services.api.scim.operations import Operation, Target, target_of, targets_of

_MEMBERS: Final = GROUPS.attributes["members"]
_VALUE: Final = _MEMBERS.parts["value"]
MOST_MEMBERS: Final = 200_000
MOST_LOOKED_AT: Final = 500_000
"""How many members the filters of one request may go through; identity providers name each member by its value."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group as a client sees it; ``members``: ids of Users."""

    name: str
    external_id: str | None = None
    members: frozenset[str] = frozenset()


def given(body: object) -> Group:
    """Return the group of the body of a POST or a PUT.

    Raises:
        ScimError: it is none.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be an object.")
    fields: Mapping[str, Any] = {name.lower(): value for name, value in body.items()}
    name = read(GROUPS.attributes["displayname"], fields.get("displayname"))
    if name is None:
        raise invalid_value("displayName is missing.")
    external_id = read(GROUPS.attributes["externalid"], fields.get("externalid"))
    return Group(name, external_id, ids(fields.get("members")))


def ids(value: object) -> frozenset[str]:
    """Return the ids that a value of ``members`` lists: a list or one, of objects or of plain ids.

    Raises:
        ScimError: it lists something else.
    """
    entries = value if isinstance(value, list) else [] if value is None else [value]
    if len(entries) > MOST_MEMBERS:
        raise invalid_value(f"A group must not have more than {MOST_MEMBERS} members.")
    found = set()
    for entry in entries:
        plain = next((v for n, v in entry.items() if n.lower() == "value"), None) if isinstance(entry, dict) else entry
        member = read(_VALUE, plain)
        if member is None:
            raise invalid_value("A member needs a value: the id of a User.")
        found.add(member)
    return frozenset(found)


def applied(group: Group, changes: list[Operation]) -> Group:
    """Return ``group`` after ``changes``, in order.

    Raises:
        ScimError: an operation cannot be applied; then none is.
    """
    members = set(group.members)
    looked_at = 0
    for operation, target in _aimed(changes):
        if target.where is not None and not _is_one(target.where):
            looked_at += len(members)
        if looked_at > MOST_LOOKED_AT:
            raise ScimError(400, "The filters of the operations go through too many members.", "tooMany")
        group = _apply(group, members, operation, target)
    return replace(group, members=frozenset(members))


def _aimed(changes: list[Operation]) -> Iterator[tuple[Operation, Target]]:
    for operation in changes:
        if operation.path is not None:
            yield operation, target_of(GROUPS, operation.path)
            continue
        for target, value in targets_of(GROUPS, operation.value):
            yield Operation(operation.verb, None, value), target


def _apply(group: Group, members: set[str], operation: Operation, target: Target) -> Group:
    name = target.attribute.name
    if name == "members":
        _change(members, operation, target)
        return group
    value = None if operation.verb == "remove" else read(target.attribute, operation.value)
    if name == "externalId":
        return replace(group, external_id=value)
    if name != "displayName":
        raise read_only(name)
    if value is None:
        raise invalid_value("displayName must not be empty.")
    return replace(group, name=value)


def _change(members: set[str], operation: Operation, target: Target) -> None:
    """Change the set in place: thousands of operations on thousands of members stay linear."""
    if target.part is not None:
        raise invalid_path("Members are added and removed as a whole.")
    if target.where is not None:
        _change_those(members, operation, target.where)
    elif operation.verb == "add":
        members |= ids(operation.value)
    elif operation.verb == "remove" and operation.value is not None:
        members -= ids(operation.value)
    else:
        listed = ids(operation.value) if operation.verb == "replace" else frozenset()
        members.clear()
        members |= listed


def _change_those(members: set[str], operation: Operation, where: Filter) -> None:
    hit = _those(members, where)
    if operation.verb == "add":
        raise invalid_path("Members are added without a filter.")
    if operation.verb == "replace":
        if not hit:
            raise no_target("No member satisfies the filter of the path.")
        members |= ids(operation.value)
    members -= hit - (ids(operation.value) if operation.verb == "replace" else frozenset())


def _is_one(where: Filter) -> TypeGuard[Compare]:
    return isinstance(where, Compare) and where.operator == "eq" and where.place.attribute is _VALUE


def _those(members: set[str], where: Filter) -> set[str]:
    if _is_one(where):
        return {str(where.value)} & members
    return {member for member in members if matches(where, {"value": member, "type": "User"})}
