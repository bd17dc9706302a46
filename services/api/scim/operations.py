"""The operations of a PATCH (RFC 7644, section 3.5.2), read from any spelling that identity providers use.

``Add``, ``Replace`` and ``Remove`` may begin with a capital; a path may carry a URN, a value filter and a part; without
a path the names within the value are paths themselves, so ``"name.givenName"`` and a URN with a colon are understood.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from services.api.scim.attributes import ENTERPRISE, Attribute, Kind
from services.api.scim.errors import invalid_path, invalid_syntax, invalid_value, no_target, read_only
from services.api.scim.filters import MOST_CHARACTERS, Filter, Place, Within, parse, place_of

VERBS: Final = frozenset({"add", "replace", "remove"})
MOST_OPERATIONS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as sent."""

    verb: str
    path: str | None
    value: Any


@dataclass(frozen=True, slots=True)
class Target:
    """What an operation changes: an attribute, or those of its values that ``where`` holds for, or a ``part`` of it."""

    attribute: Attribute
    part: Attribute | None = None
    where: Filter | None = None
    extended: bool = False


def operations(body: object) -> list[Operation]:
    """Return the operations of a PATCH body.

    Raises:
        ScimError: it is no PATCH.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be an object.")
    listed = next((value for name, value in body.items() if name.lower() == "operations"), None)
    if not isinstance(listed, list) or not listed:
        raise invalid_syntax("Operations must be a list of at least one operation.")
    if len(listed) > MOST_OPERATIONS:
        raise invalid_syntax(f"There must not be more than {MOST_OPERATIONS} operations.")
    return [_operation(entry) for entry in listed]


def _operation(entry: object) -> Operation:
    if not isinstance(entry, dict):
        raise invalid_syntax("An operation must be an object.")
    fields = {name.lower(): value for name, value in entry.items()}
    verb, path = fields.get("op"), fields.get("path")
    if not isinstance(verb, str) or verb.lower() not in VERBS:
        raise invalid_syntax("op must be add, replace or remove.")
    if path is not None and not isinstance(path, str):
        raise invalid_path("path must be text.")
    operation = Operation(verb.lower(), (path or "").strip() or None, fields.get("value"))
    if operation.path is None and operation.verb == "remove":
        raise no_target("A remove operation names a path.")
    if operation.path is None and not isinstance(operation.value, dict):
        raise invalid_syntax("Without a path the value must be an object.")
    if operation.verb != "remove" and "value" not in fields:
        raise invalid_value("An operation that adds or replaces needs a value.")
    return operation


def target_of(kind: Kind, path: str) -> Target:
    """Return what ``path`` names.

    Raises:
        ScimError: it names nothing that a client may change.
    """
    target = _with_filter(kind, path) if "[" in path else _plain(place_of(kind, path))
    if target.attribute.read_only:
        raise read_only(target.attribute.name)
    return target


def _plain(place: Place | None) -> Target:
    if place is None:
        raise invalid_path("The path names no attribute that is known here.")
    return Target(place.attribute, place.part, None, place.extended)


def _with_filter(kind: Kind, path: str) -> Target:
    head, _, tail = path.rpartition("]")
    if len(path) > MOST_CHARACTERS or not (tail == "" or tail.startswith(".")):
        raise invalid_path("The path cannot be read.")
    found = parse(f"{head}]", kind, invalid_path)
    if not isinstance(found, Within) or not (found.place.attribute.many and found.place.part is None):
        raise invalid_path("A filter stands behind an attribute with many values.")
    place = found.place
    if not tail:
        return Target(place.attribute, None, found.inner, place.extended)
    part = place.attribute.parts.get(tail[1:].lower()) if place.attribute.kept else Attribute(tail[1:])
    if part is None:
        raise invalid_path("The path names no part that is known here.")
    return Target(place.attribute, part, found.inner, place.extended)


def targets_of(kind: Kind, value: dict[str, Any]) -> Iterator[tuple[Target, Any]]:
    """Return what the names within the value of an operation without a path name; unknown ones name nothing."""
    for name, part in value.items():
        if name.lower() == ENTERPRISE.lower() and isinstance(part, dict):
            yield from targets_of(kind, {f"{ENTERPRISE}:{inner}": entry for inner, entry in part.items()})
            continue
        target = _with_filter(kind, name) if "[" in name else None
        if target is None:
            place = place_of(kind, name)
            target = _plain(place) if place is not None else None
        if target is not None and not target.attribute.read_only:
            yield target, part
