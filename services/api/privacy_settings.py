"""The privacy settings of a tenant: how small a group may be, who sees single people, how exactly, and for how long."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from services.api.shapes import Given
from services.api.store.tenants import Tenant

PRIVATE: Final = ("min_group", "individual_visibility", "instants", "retention")
PRESETS: Final[dict[str, dict[str, Any]]] = {
    "works_council": {
        "min_group": 10,
        "individual_visibility": "off",
        "instants": "day",
        "retention": {"activity": 90},
    }
}

Days = Annotated[int, Field(ge=1, le=36_500, strict=True)]


class Retention(Given):
    """For how many days things are kept, where that is less than the installation keeps them.

    ``activity``: single events; ``people``: what single people did on a day; ``aggregates``: numbers of groups;
    ``letters``: deliveries that could not be used.
    """

    activity: Days | None = None
    people: Days | None = None
    aggregates: Days | None = None
    letters: Days | None = None


class Privacy(Given):
    """Groups smaller than ``min_group`` are not shown; ``individual_visibility`` says who sees single persons.

    ``instants``: whether answers on a person tell times, or days only. ``preset`` stands for the settings that a works
    council agrees to more easily; what is given beside it goes before it.
    """

    preset: Literal["works_council"] | None = None
    min_group: int = Field(default=5, ge=1, le=1000, strict=True)
    individual_visibility: Literal["manager", "off", "owner"] = "manager"
    instants: Literal["exact", "day"] = "exact"
    retention: Retention = Field(default_factory=Retention)

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: object) -> object:
        return expanded(given) if isinstance(given, dict) else given


class PrivacyChange(Given):
    """The privacy settings to change."""

    preset: Any = None
    min_group: Any = None
    individual_visibility: Any = None
    instants: Any = None
    retention: Any = None


def preset_of(tenant: Tenant) -> str | None:
    """Return the preset whose settings the tenant has, or stricter ones."""
    strict = (
        tenant.min_group >= PRESETS["works_council"]["min_group"]
        and tenant.individual_visibility == "off"
        and tenant.instants == "day"
        and tenant.retention.get("activity", 36_500) <= PRESETS["works_council"]["retention"]["activity"]
    )
    return "works_council" if strict else None


def expanded(given: dict[str, Any]) -> dict[str, Any]:
    """Return privacy settings with what their preset stands for."""
    preset = PRESETS.get(given["preset"], {}) if isinstance(given.get("preset"), str) else {}
    return {**preset, **given}
