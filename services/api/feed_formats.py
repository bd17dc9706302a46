"""Alerts as feed readers take them: Atom (RFC 4287) and JSON Feed 1.1. Pure.

An entry keeps its id for as long as its alert lives, and its ``updated`` moves with every change, by the wall clock.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

ATOM: Final = "http://www.w3.org/2005/Atom"
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Channel:
    """What a feed is called and where it is.

    ``names``: what the people in it are called; ``changed``: when each alert was changed last.
    """

    id: str
    title: str
    address: str
    made: datetime
    names: Mapping[str, str]
    changed: Mapping[str, datetime]

    @property
    def updated(self) -> datetime:
        """When anything in it changed last."""
        return max(self.changed.values(), default=self.made)


def headline(alert: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the title of an alert, and whom it is about."""
    kind, key = alert["subject"]["kind"], alert["subject"]["key"]
    return f"{alert['title']} ({names.get(key, key)})" if kind == "user" else str(alert["title"])


def summary(alert: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return what an alert says, in words."""
    lines = [f"{alert['title']}.", f"{alert['severity'].capitalize()}, {alert['tier']}, {alert['state']}."]
    if alert["subject"]["kind"] == "user":
        key = alert["subject"]["key"]
        lines.append(f"About: {names[key]} ({key})." if key in names else f"About: {key}.")
    if alert.get("resolution"):
        lines.append(f"Ended: {alert['resolution'].replace('_', ' ')}.")
    elif alert["action"]:
        lines.append(f"What to do next: {alert['action']}")
    return "\n".join(lines)


def atom(channel: Channel, alerts: Sequence[Mapping[str, Any]]) -> bytes:
    """Return an Atom document of ``alerts``."""
    root = ET.Element("feed", xmlns=ATOM)
    _add(root, "id", channel.id)
    _add(root, "title", channel.title)
    _add(root, "updated", _instant(channel.updated))
    ET.SubElement(root, "link", rel="self", type="application/atom+xml", href=channel.address)
    _add(ET.SubElement(root, "author"), "name", "Uptake")
    for alert in alerts:
        entry = ET.SubElement(root, "entry")
        _add(entry, "id", _urn(alert["id"]))
        _add(entry, "title", _title(alert, channel.names))
        _add(entry, "updated", _instant(channel.changed[alert["id"]]))
        _add(entry, "published", _instant(alert["opened_at"]))
        for term in _tags(alert):
            ET.SubElement(entry, "category", term=_clean(term))
        _add(entry, "content", summary(alert, channel.names), type="text")
    return ET.tostring(root, encoding="unicode", xml_declaration=True).encode()


def json_feed(channel: Channel, alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a JSON Feed of ``alerts``, each with its whole form beside."""
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "feed_url": channel.address,
        "authors": [{"name": "Uptake"}],
        "items": [
            {
                "id": _urn(alert["id"]),
                "title": _title(alert, channel.names),
                "content_text": summary(alert, channel.names),
                "date_published": _instant(alert["opened_at"]),
                "date_modified": _instant(channel.changed[alert["id"]]),
                "tags": _tags(alert),
                "_uptake": alert,
            }
            for alert in alerts
        ],
    }


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _clean(text)


def _clean(text: str) -> str:
    """Return ``text`` without what no XML document may hold."""
    return _NOT_XML.sub("\ufffd", text)


def _title(alert: Mapping[str, Any], names: Mapping[str, str]) -> str:
    ended = "Resolved: " if alert["state"] == "resolved" else ""
    return f"{ended}{headline(alert, names)}"


def _tags(alert: Mapping[str, Any]) -> list[str]:
    return [alert["rule"], alert["severity"], alert["tier"], alert["state"], alert["subject"]["kind"]]


def _urn(alert: str) -> str:
    return f"urn:uptake:alert:{alert}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
