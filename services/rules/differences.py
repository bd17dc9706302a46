"""What changed between two specifications of a rule, place by place."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from services.rules.form import step
from services.rules.shape import Json


class Change(NamedTuple):
    """A part that is not what it was; null: it is, or was, not there."""

    pointer: str
    before: Json
    after: Json


def changes(before: Mapping[str, Json], after: Mapping[str, Json], pointer: str = "") -> Iterator[Change]:
    """Yield what changed, in the order of the names; a list changes as a whole."""
    for name in sorted({*before, *after}):
        old, new, place = before.get(name), after.get(name), step(pointer, name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from changes(old, new, place)
        elif old != new:
            yield Change(place, old, new)
