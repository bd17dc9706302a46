"""What a User and its groups say of a person of the directory. Pure.

Only what a request changes is carried over: what an import said of the rest stands. A person's team is that of a group,
or else the department; the role that of a group, or else the application role, the title or the user type. Among
several groups one with a prefix goes first, then the one joined first, so another group moves nobody by itself.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.api.days import time_zones
from services.api.people_row import KINDS
from services.api.scim.attributes import ENTERPRISE

_KINDS: Final = {
    **{kind: kind for kind in KINDS},
    "service account": "service",
    "serviceaccount": "service",
    "system": "service",
    "bot": "service",
    "shared mailbox": "shared",
    "sharedmailbox": "shared",
}
OTHERS: Final = ("team", "role", "none")


@dataclass(frozen=True, slots=True)
class Rules:
    """How a tenant reads groups: the prefixes of teams and of roles, and what groups without a prefix are."""

    team_prefix: str = "Team:"
    role_prefix: str = "Role:"
    others: str = "team"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a group stands for; ``told``: by its prefix."""

    column: str
    key: str
    told: bool


def standing(name: str, rules: Rules) -> Standing | None:
    """Return what the group ``name`` stands for; None: nothing."""
    for column, prefix in (("team", rules.team_prefix), ("role", rules.role_prefix)):
        if prefix and name.lower().startswith(prefix.lower()):
            key = name[len(prefix) :].strip()
            return Standing(column, key, told=True) if key else None
    return Standing(rules.others, name, told=False) if rules.others != "none" else None


@functools.lru_cache(maxsize=4096)
def placed(groups: tuple[str, ...], rules: Rules) -> Mapping[str, str]:
    """Return the team and the role that ``groups`` (in the order in which they were joined) give."""
    found: dict[str, Standing] = {}
    for name in groups:
        meant = standing(name, rules)
        if meant is not None and (meant.column not in found or (meant.told and not found[meant.column].told)):
            found[meant.column] = meant
    return {column: meant.key for column, meant in found.items()}


def cells(resource: dict[str, Any], groups: tuple[str, ...], rules: Rules) -> dict[str, Any]:
    """Return the columns of the directory that ``resource`` speaks of; ``manager`` as it was written."""
    zone = resource.get("timezone")
    return {
        "name": full_name(resource),
        "email": email(resource),
        "kind": _kind(resource) or "human",
        **place(resource, groups, rules),
        "manager": resource.get(ENTERPRISE, {}).get("manager", {}).get("value"),
        "time_zone": zone if zone in time_zones() else None,
    }


def place(resource: dict[str, Any], groups: tuple[str, ...], rules: Rules) -> dict[str, str | None]:
    """Return the team and the role."""
    told = placed(groups, rules)
    return {
        "team": told.get("team") or resource.get(ENTERPRISE, {}).get("department"),
        "role": told.get("role") or _position(resource),
    }


def _kind(resource: dict[str, Any]) -> str | None:
    return _KINDS.get((resource.get("userType") or "").strip().lower())


def _position(resource: dict[str, Any]) -> str | None:
    if found := _of_application(resource) or resource.get("title"):
        return str(found)
    return resource.get("userType") if not _kind(resource) else None


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of ``after`` that are others than ``before``."""
    return {column: value for column, value in after.items() if value != before.get(column)}


def full_name(resource: dict[str, Any]) -> str | None:
    """Return the name of a person as people read it."""
    name = resource.get("name") or {}
    parts = " ".join(part for part in (name.get("givenName"), name.get("familyName")) if part)
    found = resource.get("displayName") or name.get("formatted") or parts or None
    return found[:320] if found else None


def email(resource: dict[str, Any]) -> str | None:
    """Return the address for work: the primary one, or the first of type work, or the first."""
    entries = resource.get("emails") or []
    ranked = sorted(entries, key=lambda entry: (not entry.get("primary"), str(entry.get("type")).lower() != "work"))
    return ranked[0].get("value") if ranked else None


def _of_application(resource: dict[str, Any]) -> str | None:
    entries = resource.get("roles") or []
    ranked = sorted(entries, key=lambda entry: not entry.get("primary"))
    return (ranked[0].get("display") or ranked[0].get("value") or "")[:256] or None if ranked else None
