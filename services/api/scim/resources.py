"""Users and Groups as clients see them: the rows of the directory as resources of RFC 7643. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from services.api.licences import Licence, lasts
from services.api.scim.attributes import ENTERPRISE, GROUP, USER, Kind
from services.api.scim.filters import Place, place_of

LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ALWAYS: Final = ("schemas", "id")


@dataclass(frozen=True, slots=True)
class Person:
    """A person as SCIM needs them; ``resource``: what the identity provider said, None: it never spoke of them."""

    user: str
    scim_id: str
    user_name: str | None
    external_id: str | None
    name: str | None
    email: str | None
    kind: str
    licences: tuple[Licence, ...]
    resource: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as it is kept."""

    id: str
    name: str
    external_id: str | None
    created_at: datetime
    updated_at: datetime


def content(person: Person, today: date | None) -> dict[str, Any]:
    """Return what clients may change of a User."""
    kept = person.resource if person.resource is not None else _told_by_import(person)
    found: dict[str, Any] = {"userName": person.user_name or person.user, **kept}
    if person.external_id is not None:
        found["externalId"] = person.external_id
    found["active"] = lasts(person.licences, today)
    return found


def _told_by_import(person: Person) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if person.name:
        given, _, family = person.name.strip().rpartition(" ")
        found["displayName"] = person.name
        found["name"] = {"formatted": person.name, "givenName": given or family, "familyName": family}
    if person.email:
        found["emails"] = [{"value": person.email, "type": "work", "primary": True}]
    if person.kind != "human":
        found["userType"] = person.kind
    return found


def user(person: Person, groups: Iterable[tuple[str, str]], today: date | None, base: str) -> dict[str, Any]:
    """Return the User of ``person``; ``groups``: id and name of each."""
    body = content(person, today)
    schemas = [USER, *([ENTERPRISE] if ENTERPRISE in body else [])]
    belongs = [{"value": key, "display": name, "$ref": f"{base}/Groups/{key}"} for key, name in groups]
    whole = {"schemas": schemas, "id": person.scim_id, **body, "groups": belongs}
    return {
        **whole,
        "meta": meta(whole, "User", f"{base}/Users/{person.scim_id}", person.created_at, person.updated_at),
    }


def group(row: GroupRow, members: Iterable[tuple[str, str]] | None, base: str) -> dict[str, Any]:
    """Return a Group; ``members``: id and name of each, None: left out."""
    whole: dict[str, Any] = {"schemas": [GROUP], "id": row.id, "displayName": row.name}
    if row.external_id is not None:
        whole["externalId"] = row.external_id
    if members is not None:
        whole["members"] = [
            {"value": key, "display": name, "type": "User", "$ref": f"{base}/Users/{key}"} for key, name in members
        ]
    return {**whole, "meta": meta(row.updated_at, "Group", f"{base}/Groups/{row.id}", row.created_at, row.updated_at)}


def meta(whole: object, kind: str, location: str, created: datetime, modified: datetime) -> dict[str, str]:
    """Return what is known about a resource; its version is one of what it holds."""
    mark = hashlib.blake2b(msgspec.json.encode(whole), digest_size=8).hexdigest()
    return {
        "resourceType": kind,
        "created": _instant(created),
        "lastModified": _instant(modified),
        "location": location,
        "version": f'W/"{mark}"',
    }


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Selection:
    """The attributes that a client wants, and those that it does not."""

    kind: Kind
    wanted: tuple[Place, ...] | None
    unwanted: tuple[Place, ...]

    def shows(self, name: str) -> bool:
        """Return whether something of the attribute ``name`` is shown."""
        if self.wanted is not None:
            return any(place.attribute.name == name for place in self.wanted)
        return all(place.attribute.name != name or place.part is not None for place in self.unwanted)

    def of(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return what the client wants to see of ``resource``."""
        if self.wanted is not None:
            return _only(resource, self.wanted)
        return _without(resource, self.unwanted) if self.unwanted else resource


def selection(kind: Kind, wanted: str | None, unwanted: str | None) -> Selection:
    """Return the selection that the parameters ``attributes`` and ``excludedAttributes`` spell."""
    return Selection(kind, _places(kind, wanted) if wanted else None, _places(kind, unwanted or ""))


def _places(kind: Kind, names: str) -> tuple[Place, ...]:
    found = []
    for name in names.split(","):
        place = place_of(kind, name.strip())
        if place is not None:
            found.append(place)
        elif name.strip().lower() == ENTERPRISE.lower():
            found += [Place(attribute, extended=True) for attribute in kind.extension.values()]
    return tuple(found)


def _only(resource: dict[str, Any], places: tuple[Place, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {name: resource[name] for name in ALWAYS if name in resource}
    for place in places:
        source = resource.get(ENTERPRISE, {}) if place.extended else resource
        name = place.attribute.name
        if name not in source:
            continue
        target = found.setdefault(ENTERPRISE, {}) if place.extended else found
        target[name] = source[name] if place.part is None else _parts(source[name], {place.part.name}, target.get(name))
    return found


def _parts(value: Any, names: set[str], before: Any) -> Any:  # noqa: ANN401 - JSON is any shape
    if isinstance(value, list):
        earlier = before or [{}] * len(value)
        return [_parts(entry, names, kept) for entry, kept in zip(value, earlier, strict=True)]
    return {**(before or {}), **{name: part for name, part in value.items() if name in names}}


def _without(resource: dict[str, Any], places: tuple[Place, ...]) -> dict[str, Any]:
    found = dict(resource)
    for place in places:
        name = place.attribute.name
        if name in ALWAYS:
            continue
        home = found
        if place.extended:
            home = found[ENTERPRISE] = dict(found.get(ENTERPRISE, {}))
        if place.part is None:
            home.pop(name, None)
        elif name in home:
            home[name] = _less(home[name], place.part.name)
    if not found.get(ENTERPRISE, True):
        del found[ENTERPRISE]
    return found


def _less(value: Any, part: str) -> Any:  # noqa: ANN401 - JSON is any shape
    if isinstance(value, list):
        return [_less(entry, part) for entry in value]
    return {name: kept for name, kept in value.items() if name != part}


def listing(resources: list[Mapping[str, Any]], *, total: int, start: int) -> dict[str, Any]:
    """Return one page of resources."""
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }
