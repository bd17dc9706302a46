"""Filters of RFC 7644 (section 3.4.2.2), read into a tree.

Also what Entra ID sends beyond the grammar: ``emails[type eq "work"].value eq "…"`` and an attribute of the extension
without its URN. Names are compared without case.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from services.api.scim.attributes import ENTERPRISE, GROUP, USER, Attribute, Kind
from services.api.scim.errors import ScimError, invalid_filter

MOST_CHARACTERS: Final = 8192
MOST_DEEP: Final = 40
MOST_CONDITIONS: Final = 50
"""Each is asked of every resource; identity providers send two or three."""
OPERATORS: Final = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<mark>[()\[\]])|(?P<word>\.?[A-Za-z$][A-Za-z0-9$_:.\-]*)
    |(?P<number>-?[0-9]{1,18}(?:\.[0-9]{1,18})?))""",
    re.VERBOSE,
)
LITERALS: Final = {"true": True, "false": False, "null": None}
Refusal: TypeAlias = Callable[[str], ScimError]


@dataclass(frozen=True, slots=True)
class Place:
    """An attribute, or a part of one; ``extended``: of the extension."""

    attribute: Attribute
    part: Attribute | None = None
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """``place operator value``; ``pr`` has no value."""

    place: Place
    operator: str
    value: str | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Within:
    """One value of a multi-valued attribute that satisfies ``inner``."""

    place: Place
    inner: "Filter"


@dataclass(frozen=True, slots=True)
class Every:
    """All of ``parts``."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of ``parts``."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Reverse:
    """Not ``inner``."""

    inner: "Filter"


Filter: TypeAlias = Compare | Within | Every | Some | Reverse


def place_of(kind: Kind, name: str) -> Place | None:
    """Return the attribute that ``name`` (``attribute``, ``attribute.part``, either behind a URN) means in ``kind``."""
    extended, rest = _without_urn(name)
    attribute_name, _, part_name = rest.partition(".")
    attribute = None if extended else kind.find(attribute_name)
    if attribute is None and (extended or rest == name):
        attribute, extended = kind.extension.get(attribute_name.lower()), True
    if attribute is None:
        return None
    if not part_name:
        return Place(attribute, None, extended)
    part = attribute.parts.get(part_name.lower()) if attribute.kept else Attribute(part_name, kept=False)
    return Place(attribute, part, extended) if part is not None else None


def _without_urn(name: str) -> tuple[bool, str]:
    lowered = name.lower()
    for urn in (ENTERPRISE, USER, GROUP):
        if lowered.startswith(urn.lower()) and lowered[len(urn) : len(urn) + 1] in (":", "."):
            return urn == ENTERPRISE, name[len(urn) + 1 :]
    return False, name


def parse(text: str, kind: Kind, refusal: Refusal = invalid_filter) -> Filter:
    """Return the filter that ``text`` spells.

    Raises:
        ScimError: it spells none, or names an attribute that ``kind`` has not.
    """
    reader = Reader(text, kind, refusal)
    found = reader.either(0)
    reader.end()
    return found


class Reader:
    """Reads one filter from the left to the right; ``within``: the attribute whose parts the names mean."""

    def __init__(self, text: str, kind: Kind, refusal: Refusal) -> None:
        if len(text) > MOST_CHARACTERS:
            raise refusal(f"A filter must not be longer than {MOST_CHARACTERS} characters.")
        self._kind, self._refusal = kind, refusal
        self._tokens = self._split(text)
        self._at = self._conditions = 0
        self._within: Attribute | None = None

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, at, text = [], 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._refusal("The filter cannot be read.")
            tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        return tokens

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, kind: str) -> str:
        found, token = self._peek()
        if found != kind:
            raise self._refusal("The filter cannot be read.")
        self._at += 1
        return token

    def _skip(self, word: str) -> bool:
        if self._peek()[1].lower() != word or self._peek()[0] == "text":
            return False
        self._at += 1
        return True

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise self._refusal("The filter goes on where it should end.")

    def either(self, depth: int) -> Filter:
        """Read alternatives."""
        parts = [self._all(depth)]
        while self._skip("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _all(self, depth: int) -> Filter:
        parts = [self._single(depth)]
        while self._skip("and"):
            parts.append(self._single(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _single(self, depth: int) -> Filter:
        if depth > MOST_DEEP:
            raise self._refusal("The filter is nested too deep.")
        negated = self._skip("not")
        if self._skip("("):
            inner = self.either(depth + 1)
            self._close(")")
            return Reverse(inner) if negated else inner
        if negated:
            raise self._refusal("'not' must be followed by a parenthesis.")
        return self._condition(depth)

    def _close(self, mark: str) -> None:
        if not self._skip(mark):
            raise self._refusal(f"The filter lacks a '{mark}'.")

    def _condition(self, depth: int) -> Filter:
        place = self._place(self._take("word"))
        if self._peek()[1] != "[" or self._within is not None:
            return self._comparison(place)
        self._at += 1
        self._within = place.attribute
        inner = self.either(depth + 1)
        self._close("]")
        if self._peek()[1].startswith("."):
            part = self._place(self._take("word")[1:])
            inner = Every((inner, self._comparison(part)))
        self._within = None
        return Within(place, inner)

    def _place(self, name: str) -> Place:
        if self._within is not None:
            part = self._within.parts.get(name.lower()) if self._within.kept else Attribute(name)
            found = Place(part) if part is not None else None
        else:
            found = place_of(self._kind, name)
        if found is None:
            raise self._refusal("The filter names an attribute that is not known here.")
        return found

    def _comparison(self, place: Place) -> Compare:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise self._refusal(f"A filter must not have more than {MOST_CONDITIONS} conditions.")
        operator = self._take("word").lower()
        if operator == "pr":
            return Compare(place, "pr")
        if operator not in OPERATORS:
            raise self._refusal("The filter has an operator that is not known.")
        return Compare(place, operator, self._literal())

    def _literal(self) -> str | float | bool | None:
        kind, token = self._peek()
        self._at += 1
        if kind == "word" and token.lower() in LITERALS:
            return LITERALS[token.lower()]
        if kind not in ("text", "number"):
            raise self._refusal("The filter lacks a value.")
        try:
            value: str | float = msgspec.json.decode(token, type=str | float)
        except msgspec.DecodeError as error:
            raise self._refusal("A value of the filter cannot be read.") from error
        return value
