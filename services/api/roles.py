"""What a tenant expects of its roles: how often people come, and which actions are the core of their work."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from services.api.shapes import Given, Label


class CoreAction(Given):
    """An action that is core to a role: a type of event, and the object it is about (absent: any)."""

    type: Label
    object: Label | None = None


class Role(Given):
    """What is expected of a role; without ``core`` that records are created or updated."""

    cadence: Literal["daily", "weekly", "monthly", "per_week"] = "daily"
    per_week: int | None = Field(default=None, ge=1, le=7, strict=True)
    core: Annotated[list[CoreAction], Field(max_length=100)] | None = None


Roles = Annotated[dict[Label, Role], Field(max_length=1000)]

ROLES: Final[dict[str, Any]] = {
    "account_executive": {
        "cadence": "per_week",
        "per_week": 3,
        "core": [{"type": "crm.record.updated", "object": "opportunity"}],
    }
}


def kept_roles(roles: Roles) -> dict[str, Any]:
    """Return roles as they are kept: what is absent is the default."""
    return {name: role.model_dump(exclude_none=True) for name, role in roles.items()}
