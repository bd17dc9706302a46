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


_UNMOVED: Final = Stage(moved=False)


def stage_of(
    names: Iterable[str], values: Mapping[str, Any], noun: str, fields: FieldRegistry, usual: Container[str]
) -> Stage:
    """Return what changes of the fields ``names`` of a ``noun`` say of its stage.

    ``usual`` are the CRM's own names of the stage field, in lower case.
    """
    noun = fields.nouns.get(noun.casefold(), noun)
    facts = fields.facts
    own = None
    for name in names:
        folded = name.casefold()
        if facts.get((noun, folded)) == "stage":
            return Stage(moved=True)
        if folded in usual and (own is None or name < own):
            own = name
    if own is None:
        return _UNMOVED
    found = values.get(own)
    short = type(found) is int or (isinstance(found, str) and 0 < len(found.strip()) <= _LONGEST)
    return Stage(moved=True, name=found if short else None)


def is_stage(name: str, noun: str, fields: FieldRegistry, usual: Container[str]) -> bool:
    """Whether the field ``name`` of a ``noun``, as the registry calls it, is its stage."""
    name = name.casefold()
    return name in usual or fields.facts.get((noun, name)) == "stage"
