"""What a value must look like: asked twice, as the places where it does not, and as the JSON Schema that says so.

A form never trusts the type of what it is given, and its reasons never repeat the value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from services.rules.shape import Json

Schema: TypeAlias = dict[str, Json]


class Problem(NamedTuple):
    """What is wrong, and where: a JSON pointer."""

    pointer: str
    reason: str


class Form(Protocol):
    """What a value must look like."""

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where ``value``, which stands at ``pointer``, does not fit."""

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""


def step(pointer: str, name: object) -> str:
    """Return the place of ``name`` below ``pointer``."""
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


@dataclass(frozen=True, slots=True)
class Anything:
    """What is looked at elsewhere."""

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:  # noqa: ARG002 - as the others
        """Yield nothing."""
        yield from ()

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        return {}


@dataclass(frozen=True, slots=True)
class Shared:
    """A form with a name, which a schema defines once."""

    name: str
    form: Form

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        yield from self.form.problems(value, pointer)

    def schema(self) -> Schema:
        """Return the place of the definition."""
        return {"$ref": f"#/$defs/{self.name}"}


@dataclass(frozen=True, slots=True)
class Words:
    """A text of one line."""

    least: int = 1
    most: int = 1000
    pattern: str | None = None
    means: str = "text"

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            yield Problem(pointer, f"must be {self.means} of {self.least} to {self.most} characters")
        elif self.pattern is not None and re.search(self.pattern, value) is None:
            yield Problem(pointer, f"must be {self.means}")
        elif any(not (char.isprintable() or char == " ") for char in value):
            yield Problem(pointer, "must hold printable characters only, in one line")

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        pattern: Schema = {} if self.pattern is None else {"pattern": self.pattern}
        return {"type": "string", "minLength": self.least, "maxLength": self.most, **pattern}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if not isinstance(value, str) or value not in self.words:
            yield Problem(pointer, f"must be one of: {', '.join(self.words)}")

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from ``least`` to ``most``."""

    least: int
    most: int

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            yield Problem(pointer, f"must be a whole number from {self.least} to {self.most}")

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if not isinstance(value, bool):
            yield Problem(pointer, "must be true or false")

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Either:
    """A value that fits one of two forms. ``means``: both in words."""

    first: Form
    second: Form
    means: str

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if all(any(form.problems(value, pointer)) for form in (self.first, self.second)):
            yield Problem(pointer, f"must be {self.means}")

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        return {"anyOf": [self.first.schema(), self.second.schema()]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of different things."""

    item: Form
    least: int = 0
    most: int = 50

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            yield Problem(pointer, f"must be a list of {self.least} to {self.most}")
            return
        for number, each in enumerate(value):
            place = step(pointer, number)
            yield from self.item.problems(each, place)
            if each in value[:number]:
                yield Problem(place, "stands in the list twice")

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        many: Schema = {"minItems": self.least, "maxItems": self.most, "uniqueItems": True}
        return {"type": "array", "items": self.item.schema(), **many}


@dataclass(frozen=True, slots=True)
class Table:
    """Values of one form by words of which some may be missing."""

    words: tuple[str, ...]
    value: Form

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        yield from Record(dict.fromkeys(self.words, self.value)).problems(value, pointer)

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        names = OneOf(self.words).schema()
        return {"type": "object", "propertyNames": names, "additionalProperties": self.value.schema()}


@dataclass(frozen=True, slots=True)
class Record:
    """Named parts. Of ``one_of`` exactly one is there."""

    parts: Mapping[str, Form]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = field(default=())

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if not isinstance(value, dict):
            yield Problem(pointer, "must be an object")
            return
        for name in self.required:
            if name not in value:
                yield Problem(step(pointer, name), "is missing")
        if self.one_of and sum(name in value for name in self.one_of) != 1:
            yield Problem(pointer, f"must have exactly one of: {', '.join(self.one_of)}")
        for name, part in value.items():
            form = self.parts.get(name) if isinstance(name, str) else None
            if form is None:
                known = ", ".join(self.parts) or "nothing"
                yield Problem(step(pointer, name), f"is not known here; known: {known}")
            else:
                yield from form.problems(part, step(pointer, name))

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        shape: Schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: form.schema() for name, form in self.parts.items()},
        }
        if self.required:
            shape["required"] = list(self.required)
        if self.one_of:
            shape["oneOf"] = [{"required": [name]} for name in self.one_of]
        return shape


@dataclass(frozen=True, slots=True)
class Cases:
    """Named parts of which one, ``on``, decides what the others are."""

    on: str
    cases: Mapping[str, Record]

    def problems(self, value: object, pointer: str) -> Iterator[Problem]:
        """Yield where it does not fit."""
        if not isinstance(value, dict):
            yield Problem(pointer, "must be an object")
            return
        word = value.get(self.on)
        if not isinstance(word, str) or word not in self.cases:
            yield from OneOf(tuple(self.cases)).problems(word, step(pointer, self.on))
            return
        rest = {name: part for name, part in value.items() if name != self.on}
        yield from self.cases[word].problems(rest, pointer)

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        return {"oneOf": [self._schema(word, record) for word, record in self.cases.items()]}

    def _schema(self, word: str, record: Record) -> Schema:
        parts = {self.on: OneOf((word,)), **record.parts}
        return Record(parts, (self.on, *record.required), record.one_of).schema()
