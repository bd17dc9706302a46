"""Whether a resource satisfies a filter, and by which one value it can be found.

Values are compared without case unless their case counts; truth values also as the words that Entra ID sends; an
attribute with parts stands for its ``value``.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from services.api.scim.attributes import ENTERPRISE, Attribute
from services.api.scim.filters import LITERALS, Compare, Every, Filter, Place, Reverse, Some, Within
from services.api.shapes import iso_instant


def matches(found: Filter, resource: Mapping[str, Any]) -> bool:
    """Return whether ``resource`` satisfies the filter (one value of an attribute: when the filter is of its parts)."""
    if isinstance(found, Every):
        return all(matches(part, resource) for part in found.parts)
    if isinstance(found, Some):
        return any(matches(part, resource) for part in found.parts)
    if isinstance(found, Reverse):
        return not matches(found.inner, resource)
    if isinstance(found, Within):
        return any(isinstance(v, dict) and matches(found.inner, v) for v in _values(found.place, resource))
    return _holds(found, resource)


def _values(place: Place, resource: Mapping[str, Any]) -> list[Any]:
    home = resource.get(ENTERPRISE, {}) if place.extended else resource
    value = home.get(place.attribute.name)
    return value if isinstance(value, list) else [] if value is None else [value]


def _holds(compare: Compare, resource: Mapping[str, Any]) -> bool:
    values = _values(compare.place, resource)
    part = compare.place.part or compare.place.attribute.parts.get("value")
    meant = part if part is not None else compare.place.attribute
    if compare.operator == "pr" and compare.place.part is None:
        return bool(values)
    if part is not None:
        values = [v[part.name] for v in values if isinstance(v, dict) and part.name in v]
    if compare.operator == "pr":
        return bool(values)
    if compare.operator == "ne":
        return not any(_satisfies(value, "eq", compare.value, meant) for value in values)
    if compare.value is None:
        return compare.operator == "eq" and not values
    return any(_satisfies(value, compare.operator, compare.value, meant) for value in values)


def _satisfies(value: object, operator: str, wanted: object, meant: Attribute) -> bool:
    left, right = _comparable(value, wanted, meant)
    if operator == "eq":
        return left == right and isinstance(left, bool) == isinstance(right, bool)
    if not (isinstance(left, str) and isinstance(right, str)):
        return False
    if operator in ("gt", "ge", "lt", "le"):
        return _ordered(left, operator, right)
    return {"co": right in left, "sw": left.startswith(right), "ew": left.endswith(right)}[operator]


def _comparable(value: object, wanted: object, meant: Attribute) -> tuple[object, object]:
    if isinstance(value, bool) and isinstance(wanted, str):
        return value, LITERALS.get(wanted.lower(), wanted)
    if isinstance(value, str) and isinstance(wanted, str) and not meant.exact:
        return value.casefold(), wanted.casefold()
    return value, wanted


def _ordered(left: Any, operator: str, right: Any) -> bool:  # noqa: ANN401 - two texts or two instants
    with contextlib.suppress(ValueError):
        left, right = iso_instant(left.upper()), iso_instant(right.upper())
    return bool({"gt": left > right, "ge": left >= right, "lt": left < right, "le": left <= right}[operator])


def narrowed(found: Filter, *names: str) -> tuple[str, str] | None:
    """Return an attribute of ``names`` and the one value it must have for the filter to hold; None: any may hold."""
    if isinstance(found, Every):
        return next((hit for part in found.parts if (hit := narrowed(part, *names))), None)
    if isinstance(found, Within):
        hit = narrowed(found.inner, "value")
        return (found.place.attribute.name, hit[1]) if hit and found.place.attribute.name in names else None
    if isinstance(found, Compare) and found.operator == "eq" and isinstance(found.value, str):
        place = found.place
        part = place.part.name if place.part is not None else "value"
        if place.attribute.name in names and not place.extended and part == "value":
            return place.attribute.name, found.value
    return None


def mentions(found: Filter, name: str) -> bool:
    """Return whether the filter asks for the attribute ``name``."""
    if isinstance(found, Every | Some):
        return any(mentions(part, name) for part in found.parts)
    if isinstance(found, Reverse):
        return mentions(found.inner, name)
    return found.place.attribute.name == name
