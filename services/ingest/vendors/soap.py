"""The SOAP envelope of an outbound message, read in one pass. Pure.

Whatever XML can do to its reader is refused: document types, entities, other encodings than UTF-8, depth, masses. Only
what an event is made of is kept; the session's id is not even read.
"""

from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from services.ingest.vendors.shape import MalformedError

_PATH: Final = ("Envelope", "Body", "notifications", "Notification", "sObject")
_FIELD: Final = len(_PATH) + 1
_DEEPEST: Final = 16
_MOST_ELEMENTS: Final = 100_000
"""A hundred records with all the fields that an object may have."""
_INSTANCE: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_SPACE: Final = "{http://soap.sforce.com/2005/09/outbound}"


class Notification(NamedTuple):
    """One record that the message tells of."""

    id: str
    object: str
    fields: dict[str, str | None]
    """By name; nothing (None) where it is nil."""


class Message(NamedTuple):
    """An outbound message."""

    organization: str
    notifications: list[Notification]


def read(body: bytes) -> Message:
    """Return the message in ``body``; MalformedError when it is none, or not harmless."""
    reader = _Reader()
    parser: Any = DefusedXMLParser(target=reader, encoding="utf-8", forbid_dtd=True)
    if b"\x00" in body:
        raise MalformedError("is not XML in UTF-8")  # what looks like UTF-16 would be read as that
    try:
        body.decode("utf-8")
        parser.feed(body)
        parser.close()
    except (ParseError, DefusedXmlException, UnicodeError, LookupError, ValueError) as error:
        raise MalformedError("is not harmless XML in UTF-8") from error
    if not reader.found:
        raise MalformedError("has no notifications of Salesforce")
    return Message(reader.organization, reader.notifications)


class _Reader:
    """What the parser tells as it goes: ``_path`` is where it stands, ``_text`` what it has read there."""

    def __init__(self) -> None:
        self.found = False
        self._elements = 0
        self.organization = ""
        self.notifications: list[Notification] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._nil = False
        self._id = self._object = ""
        self._fields: dict[str, str | None] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag.rpartition("}")[2])
        depth = len(self._path)
        self._elements += 1
        if depth > _DEEPEST or self._elements > _MOST_ELEMENTS:
            raise ValueError("too deep, or too much of it")
        if depth <= _FIELD:
            self._text = []
            self._nil = attributes.get(f"{_INSTANCE}nil") in ("true", "1")
        path = tuple(self._path)
        if path == _PATH[:3]:
            self.found |= tag.startswith(_SPACE)
        elif path == _PATH[:4]:
            self._id, self._object, self._fields = "", "", {}
        elif path == _PATH:
            self._object = attributes.get(f"{_INSTANCE}type", "").rpartition(":")[2]

    def data(self, text: str) -> None:
        if "SessionId" not in self._path:
            self._text.append(text)

    def end(self, tag: str) -> None:
        path, text = tuple(self._path), "".join(self._text).strip()
        if path == (*_PATH[:3], "OrganizationId"):
            self.organization = text
        elif path == (*_PATH[:4], "Id"):
            self._id = text
        elif path == _PATH[:4]:
            self.notifications.append(Notification(self._id, self._object, self._fields))
        elif path[:-1] == _PATH:
            self._fields[tag.rpartition("}")[2]] = None if self._nil else text
        self._path.pop()
        if len(path) <= _FIELD:
            self._text = []

    def close(self) -> None:
        """Nothing is left to be done at the end."""
