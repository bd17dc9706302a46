"""How a tenant counts, read from its settings."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.metrics.shape import Policy, Role

_ANY: Final = Role()


def policy_of(settings: Mapping[str, Any], *, waves: bool) -> Policy:
    """Return the policy of a tenant with these columns; ``waves``: whether it has any."""
    return Policy(
        zone=ZoneInfo(settings["time_zone"]),
        work_days=frozenset(settings["work_days"]),
        holidays=frozenset(settings["holidays"]),
        working=settings["day_counting"] == "working",
        first_day_of_week=settings["first_day_of_week"],
        by_login=settings["connected_by"] == "login",
        waves=waves,
        roles={name: role_of(told) for name, told in settings["roles"].items()},
    )


def role_of(told: Mapping[str, Any]) -> Role:
    """Return what is expected of a role: ``{"cadence", "per_week", "core": [{"type", "object"}]}``, each optional."""
    core = told.get("core")
    return Role(
        cadence=told.get("cadence") or _ANY.cadence,
        per_week=told.get("per_week") or _ANY.per_week,
        core=_ANY.core if core is None else frozenset((act["type"], act.get("object") or "") for act in core),
    )
