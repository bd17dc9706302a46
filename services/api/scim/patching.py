"""Applying the operations of a PATCH to a User. Pure: a resource and operations in, the resource after them out.

Where identity providers rely on it, more is done than RFC 7644 asks for: a value that a filter like
``emails[type eq "work"].value`` looks for and does not find is made, and a removal that lists values removes these.
"""

import copy
from typing import Any

from services.api.scim.attributes import ENTERPRISE, MOST_VALUES, USERS, read
from services.api.scim.errors import invalid_path, invalid_syntax, invalid_value, no_target
from services.api.scim.filters import Compare, Every, Filter
from services.api.scim.matching import matches
from services.api.scim.operations import Operation, Target, target_of, targets_of

Resource = dict[str, Any]


def applied(resource: Resource, changes: list[Operation]) -> Resource:
    """Return ``resource`` after ``changes``, in order. ``resource`` stays as it is.

    Raises:
        ScimError: an operation cannot be applied; then none is.
    """
    after = copy.deepcopy(resource)
    for operation in changes:
        if operation.path is None:
            for target, value in targets_of(USERS, operation.value):
                _apply(after, operation.verb, target, value)
        elif operation.path.lower() == ENTERPRISE.lower():
            _apply_to_extension(after, operation)
        else:
            _apply(after, operation.verb, target_of(USERS, operation.path), operation.value)
    return {name: value for name, value in after.items() if value not in (None, [], {})}


def _apply_to_extension(after: Resource, operation: Operation) -> None:
    if operation.verb == "remove":
        after.pop(ENTERPRISE, None)
        return
    if not isinstance(operation.value, dict):
        raise invalid_syntax("The value of an extension must be an object.")
    for target, value in targets_of(USERS, {ENTERPRISE: operation.value}):
        _apply(after, operation.verb, target, value)


def _apply(after: Resource, verb: str, target: Target, value: object) -> None:
    if not target.attribute.kept:
        return
    home = after.setdefault(ENTERPRISE, {}) if target.extended else after
    name = target.attribute.name
    if target.attribute.many:
        home[name] = _many(home.get(name) or [], verb, target, value)
    elif target.part is not None:
        home[name] = _with_part(home.get(name) or {}, verb, target, value)
    elif verb == "remove":
        home.pop(name, None)
    else:
        home[name] = _replaced(home.get(name), target, value)
    if home.get(name) in (None, [], {}):
        home.pop(name, None)


def _replaced(held: object, target: Target, value: object) -> object:
    given = read(target.attribute, value)
    if isinstance(held, dict) and isinstance(given, dict) and "value" not in given:
        return {**held, **given}
    return given


def _with_part(held: Resource, verb: str, target: Target, value: object) -> Resource:
    if target.part is None:
        return held
    given = None if verb == "remove" else read(target.part, value)
    rest = {name: kept for name, kept in held.items() if name != target.part.name}
    if target.attribute.name == "manager" and target.part.name == "value":
        rest = {}  # another manager has another name and address
    return rest if given is None else {**rest, target.part.name: given}


def _many(held: list[Resource], verb: str, target: Target, value: object) -> list[Resource]:
    if verb == "remove":
        changed = _removed(held, target, value)
    elif target.where is None and target.part is None:
        changed = _added(held if verb == "add" else [], read(target.attribute, value) or [])
    else:
        changed = _set(held, target, value)
    kept = [entry for entry in changed if entry.get("value") is not None]
    if len(kept) > MOST_VALUES:
        raise invalid_value(f"{target.attribute.name} must not have more than {MOST_VALUES} values.")
    return kept


def _removed(held: list[Resource], target: Target, value: object) -> list[Resource]:
    if target.where is None and target.part is None and value is not None:
        listed = {entry.get("value") for entry in read(target.attribute, value) or []}
        return [entry for entry in held if entry.get("value") not in listed]
    hit = [target.where is None or matches(target.where, entry) for entry in held]
    if target.part is None:
        return [entry for entry, hits in zip(held, hit, strict=True) if not hits]
    part = target.part.name
    return [
        {name: kept for name, kept in entry.items() if not (hits and name == part)}
        for entry, hits in zip(held, hit, strict=True)
    ]


def _added(held: list[Resource], given: list[Resource]) -> list[Resource]:
    result = list(held)
    for entry in given:
        same = [n for n, kept in enumerate(result) if _key(kept) == _key(entry)]
        result = _one_primary(result) if entry.get("primary") else result
        if same:
            result[same[0]] = {**result[same[0]], **entry}
        else:
            result.append(entry)
    return result


def _key(entry: Resource) -> tuple[str, str]:
    return str(entry.get("value")).casefold(), str(entry.get("type", "")).casefold()


def _one_primary(entries: list[Resource]) -> list[Resource]:
    return [{name: kept for name, kept in entry.items() if name != "primary"} for entry in entries]


def _set(held: list[Resource], target: Target, value: object) -> list[Resource]:
    given = _given(target, value)
    hit = [target.where is None or matches(target.where, entry) for entry in held]
    if not any(hit):
        made = {**_made_by(target.where), **given}
        return [*(_one_primary(held) if made.get("primary") else held), made]
    others = _one_primary(held) if given.get("primary") else held
    return [
        _without_none({**entry, **given}) if hits else other
        for entry, other, hits in zip(held, others, hit, strict=True)
    ]


def _given(target: Target, value: object) -> Resource:
    if target.part is not None:
        return {target.part.name: read(target.part, value)}
    entries = read(target.attribute, value) or []
    if len(entries) != 1:
        raise invalid_value(f"One value of {target.attribute.name} is replaced by one value.")
    found: Resource = entries[0]
    return found


def _without_none(entry: Resource) -> Resource:
    return {name: value for name, value in entry.items() if value is not None}


def _made_by(where: Filter | None) -> Resource:
    parts = where.parts if isinstance(where, Every) else () if where is None else (where,)
    made: Resource = {}
    for part in parts:
        if not isinstance(part, Compare) or part.operator != "eq" or part.value is None:
            raise no_target("No value satisfies the filter of the path.")
        if part.place.attribute.name in made:
            raise invalid_path("The filter of the path can hold for no value.")
        made[part.place.attribute.name] = read(part.place.attribute, part.value)
    return made
