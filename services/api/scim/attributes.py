"""The attributes of Users and Groups: which are known, what they may hold, and how any spelling becomes the one kept.

Names are compared without case. What is known and not needed (a password, telephone numbers, addresses, pictures) is
taken and forgotten: it reaches no table and no log.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.api.scim.errors import invalid_value
from services.api.shapes import plain

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
MOST_VALUES: Final = 100


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. ``kept`` False: taken and forgotten; ``exact``: its case counts; ``most``: characters."""

    name: str
    kind: str = "string"
    many: bool = False
    parts: Mapping[str, "Attribute"] = field(default_factory=dict)
    exact: bool = False
    read_only: bool = False
    kept: bool = True
    required: bool = False
    unique: bool = False
    most: int = 256
    description: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource: its own attributes, and those of its extension."""

    name: str
    urn: str
    attributes: Mapping[str, Attribute]
    extension: Mapping[str, Attribute] = field(default_factory=dict)

    def find(self, name: str) -> Attribute | None:
        """Return the attribute of the core with ``name``."""
        return self.attributes.get(name.lower())


def _table(*attributes: Attribute) -> dict[str, Attribute]:
    return {attribute.name.lower(): attribute for attribute in attributes}


def _texts(*names: str, most: int = 256) -> list[Attribute]:
    return [Attribute(name, most=most) for name in names]


def _forgotten(*names: str) -> list[Attribute]:
    return [Attribute(name, kind="complex", many=True, kept=False) for name in names]


_SHARED: Final = (
    Attribute("schemas", kind="reference", many=True, read_only=True, exact=True),
    Attribute("id", read_only=True, exact=True, unique=True),
    Attribute("externalId", exact=True, description="The identity provider's own key, for joining identities."),
    Attribute(
        "meta",
        kind="complex",
        read_only=True,
        parts=_table(
            *(
                Attribute(name, exact=True)
                for name in ("resourceType", "created", "lastModified", "location", "version")
            )
        ),
    ),
)
_VALUES: Final = _table(Attribute("value", most=320), *_texts("display", "type"), Attribute("primary", kind="boolean"))
_POINTERS: Final = _table(Attribute("value", exact=True), *_texts("display", "type"), Attribute("$ref", most=2000))

USERS: Final = Kind(
    "User",
    USER,
    _table(
        *_SHARED,
        Attribute("userName", required=True, unique=True, description="Becomes the person's key in the directory."),
        Attribute(
            "name",
            kind="complex",
            parts=_table(
                *_texts(
                    "formatted",
                    "familyName",
                    "givenName",
                    "middleName",
                    "honorificPrefix",
                    "honorificSuffix",
                    most=320,
                )
            ),
        ),
        *_texts("displayName", most=320),
        *_texts("nickName", "title", "userType", "preferredLanguage", "locale", "timezone"),
        Attribute("active", kind="boolean", description="False ends the person's licence, true opens it again."),
        Attribute("emails", kind="complex", many=True, parts=_VALUES),
        Attribute("roles", kind="complex", many=True, parts=_VALUES),
        Attribute("groups", kind="complex", many=True, parts=_POINTERS, read_only=True),
        Attribute("password", kept=False),
        Attribute("profileUrl", kind="reference", kept=False),
        *_forgotten("phoneNumbers", "ims", "photos", "addresses", "entitlements", "x509Certificates"),
    ),
    _table(
        *_texts("employeeNumber", "costCenter", "organization", "division"),
        Attribute("department", description="The person's team, as long as no group says so."),
        Attribute(
            "manager",
            kind="complex",
            parts=_table(
                Attribute("value", exact=True), Attribute("$ref", most=2000), Attribute("displayName", most=320)
            ),
        ),
    ),
)
GROUPS: Final = Kind(
    "Group",
    GROUP,
    _table(
        *_SHARED,
        Attribute("displayName", required=True, unique=True, description="The name of the team or role."),
        Attribute("members", kind="complex", many=True, parts=_POINTERS),
    ),
)


def read(attribute: Attribute, given: object) -> Any:  # noqa: ANN401 - JSON is any shape
    """Return ``given`` as ``attribute`` keeps it; None: nothing.

    Raises:
        ScimError: it cannot be used.
    """
    if not attribute.many:
        return _one(attribute, given)
    values = given if isinstance(given, list) else [given]
    if len(values) > MOST_VALUES:
        raise invalid_value(f"{attribute.name} must not have more than {MOST_VALUES} values.")
    return _distinct(value for entry in values if (value := _one(attribute, entry)) is not None) or None


def _distinct(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def _one(attribute: Attribute, given: object) -> Any:  # noqa: ANN401 - JSON is any shape
    if given is None:
        return None
    if attribute.kind == "boolean":
        return boolean(attribute.name, given)
    if attribute.kind != "complex":
        return _text(attribute, given)
    if isinstance(given, str | int) and "value" in attribute.parts:
        given = {"value": given}
    if not isinstance(given, dict):
        raise invalid_value(f"{attribute.name} must be an object.")
    found = {}
    for name, value in given.items():
        part = attribute.parts.get(str(name).lower())
        if part is not None and (kept := _one(part, value)) is not None:
            found[part.name] = kept
    return found or None


def boolean(name: str, given: object) -> bool | None:
    """Return a truth value, also of the words that Entra ID sends; None for none.

    Raises:
        ScimError: it is none.
    """
    if isinstance(given, bool) or given is None:
        return given
    if isinstance(given, str) and given.strip().lower() in ("true", "false"):
        return given.strip().lower() == "true"
    raise invalid_value(f"{name} must be true or false.")


def _text(attribute: Attribute, given: object) -> str | None:
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str):
        raise invalid_value(f"{attribute.name} must be text.")
    if len(given) > attribute.most:
        raise invalid_value(f"{attribute.name} must not be longer than {attribute.most} characters.")
    try:
        return plain(given) if given.strip() else None
    except ValueError as error:
        raise invalid_value(f"{attribute.name} {error}.") from error


def canonical(kind: Kind, given: Mapping[str, object]) -> dict[str, Any]:
    """Return what is kept of a whole resource as a client sent it. Unknown and read-only attributes are left out.

    Raises:
        ScimError: a value cannot be used.
    """
    found = _known(kind.attributes, given)
    for name, value in given.items():
        if kind.extension and name.lower() == ENTERPRISE.lower() and value is not None:
            if not isinstance(value, dict):
                raise invalid_value(f"{ENTERPRISE} must be an object.")
            if extension := _known(kind.extension, value):
                found[ENTERPRISE] = extension
    return found


def _known(attributes: Mapping[str, Attribute], given: Mapping[str, object]) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        attribute = attributes.get(name.lower())
        if attribute is None or attribute.read_only or not attribute.kept:
            continue
        if (kept := read(attribute, value)) is not None:
            found[attribute.name] = kept
    return found
