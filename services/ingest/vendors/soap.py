"""The SOAP envelope of an outbound message. Pure.

Whatever XML can do to its reader is refused: document types, entities, other encodings than UTF-8, depth, masses. Only
what an event is made of is taken out; the session's id is not even looked at.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element, ParseError, XMLParser

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from services.ingest.vendors.shape import MalformedError

_DOCUMENT_TYPE: Final = b"<!DOCTYPE"
_DEEPEST: Final = 16
_MOST_ELEMENTS: Final = 100_000
"""A hundred records with all the fields that an object may have."""
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_SPACE: Final = "{http://soap.sforce.com/2005/09/outbound}"
_SESSION: Final = "SessionId"


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
    root = _tree(body)
    found = False
    organization = ""
    notifications: list[Notification] = []
    for outer in _below([root] if _name(root) == "Envelope" else [], "Body", "notifications"):
        found |= outer.tag.startswith(_SPACE)
        for child in outer:
            name = _name(child)
            if name == "Notification":
                notifications.append(_notification(child))
            elif name == "OrganizationId":
                organization = _text(child)
    if not found:
        raise MalformedError("has no notifications of Salesforce")
    return Message(organization, notifications)


def _tree(body: bytes) -> Element:
    """Return the root of a document that has no document type, and neither depth nor masses."""
    marks = body.count(b"<")
    if b"\x00" in body or marks > 2 * _MOST_ELEMENTS:
        raise MalformedError("is not XML in UTF-8, or too much of it")  # what looks like UTF-16 would be read as that
    # Where these letters do not stand there is no document type, and without one there are no entities.
    kind: Any = DefusedXMLParser if _DOCUMENT_TYPE in body else XMLParser
    parser = kind(encoding="utf-8", **({"forbid_dtd": True} if kind is DefusedXMLParser else {}))
    try:
        body.decode("utf-8")
        parser.feed(body)
        root: Element = parser.close()
    except (ParseError, DefusedXmlException, UnicodeError, LookupError, ValueError) as error:
        raise MalformedError("is not harmless XML in UTF-8") from error
    if _is_deep(root) or (marks > _MOST_ELEMENTS and sum(1 for _ in root.iter()) > _MOST_ELEMENTS):
        raise MalformedError("is too deep, or too much of it")
    return root


def _is_deep(root: Element) -> bool:
    level = [root] if len(root) else []
    for _ in range(_DEEPEST - 1):
        level = [child for parent in level for child in parent if len(child)]
        if not level:
            return False
    return True


def _below(elements: list[Element], *names: str) -> list[Element]:
    """Return what the path ``names`` leads to from ``elements``."""
    for name in names:
        elements = [child for parent in elements for child in parent if _name(child) == name]
    return elements


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _notification(element: Element) -> Notification:
    id_ = kind = ""
    fields: dict[str, str | None] = {}
    for child in element:
        name = _name(child)
        if name == "Id":
            id_ = _text(child)
        elif name == "sObject":
            kind = child.get(_TYPE, "").rpartition(":")[2]
            for field in child:
                nil = field.get(_NIL) in ("true", "1")
                fields[field.tag.rpartition("}")[2]] = None if nil else _text(field)
    return Notification(id_, kind, fields)


def _text(element: Element) -> str:
    """Return the text in ``element`` and what is in it, but for that of a session's id."""
    if len(element) or element.tag.endswith(_SESSION):
        return "".join(_texts(element)).strip()
    return (element.text or "").strip()


def _texts(element: Element) -> Iterator[str]:
    if _name(element) != _SESSION:
        yield element.text or ""
        for child in element:
            yield from _texts(child)
            yield child.tail or ""
