"""Whether a change moved a record to another stage: by the tenant's registry, or as the CRM itself names it. Pure."""

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, NamedTuple

from schemas.fields import FieldRegistry

_LONGEST: Final = 64


class Stage(NamedTuple):
    """Whether the stage is among what was changed; and what it is now, where the registry does not say it."""

    moved: bool
    name: str | int | None = None

    @property
    def told(self) -> dict[str, Any]:
        """What an event is to say of it beside its fields."""
        return {} if self.name is None else {"stage": self.name}

    def kind(self, kind: str) -> str:
        """Return ``stage_changed`` where an update moved the stage, else ``kind``."""
        return "stage_changed" if self.moved and kind == "updated" else kind


def stage_of(
    names: Iterable[str], values: Mapping[str, Any], noun: str, fields: FieldRegistry, usual: Container[str]
) -> Stage:
    """Return what changes of the fields ``names`` of a ``noun`` say of its stage.

    ``usual`` are the CRM's own names of the stage field, in lower case.
    """
    noun = fields.nouns.get(noun.casefold(), noun)
    changed = sorted(names)
    if any(fields.facts.get((noun, name.casefold())) == "stage" for name in changed):
        return Stage(moved=True)
    own = [name for name in changed if name.casefold() in usual]
    found = values.get(own[0]) if own else None
    short = type(found) is int or (isinstance(found, str) and 0 < len(found.strip()) <= _LONGEST)
    return Stage(bool(own), found if short else None)
