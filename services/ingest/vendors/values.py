"""What is kept of the values of fields: their states, and the facts that the registry declares. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from schemas.fields import FieldRegistry, folded
from services.ingest.normalise import States, state_of

_MILLISECONDS: Final = re.compile(r"[0-9]{12,14}")
"""What HubSpot and the Pub/Sub API of Salesforce write for a date."""


def add_facts(data: dict[str, Any], noun: str, values: Mapping[str, Any], fields: FieldRegistry) -> None:
    """Add the states of ``values`` to ``data``, and the typed facts among them that it does not have yet."""
    states = data["fields"] = States()
    facts, idle = fields.facts, fields.idle
    ended: str | None = None
    for name, value in values.items():
        place = (noun, name.casefold())
        found = state(value, fields)
        if found == "filled" and place in idle:
            found = idle[place].get(_spelled(value), found)
        states[name] = found
        fact = facts.get(place)
        if fact == "outcome":
            ended = fields.meanings[place].get(_spelled(value)) or ended
        elif fact is not None and found == "filled" and (kept := _fact(fact, value)) is not None:
            data.setdefault(fact, kept)
    if ended is not None:
        _end(data, noun, ended, fields)


def _end(data: dict[str, Any], noun: str, ended: str, fields: FieldRegistry) -> None:
    """Let the stage say that a record is won, lost or open again, unless the stage that was told says it by itself."""
    stage = data.get("stage")
    if stage is None or (ended != "open" and (noun, folded(str(stage))) not in fields.ends):
        data["stage"] = ended


def state(value: object, fields: FieldRegistry) -> str:
    """Return the state that stands for a field's value."""
    if type(value) is not str:
        return "filled" if value is False else state_of(value)
    if fields.blanks and folded(value) in fields.blanks:
        return "placeholder"
    found = state_of(value)
    return "filled" if found == value else found


def _spelled(value: object) -> str:
    """Return a scalar as values that mean something are declared."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return folded(str(value)) if isinstance(value, str | int | float) else ""


def _date(text: str) -> str | None:
    """Return the date that ``text`` begins with, or the one of milliseconds since 1970 in UTC."""
    if _MILLISECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC).date().isoformat()
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return None


def _fact(fact: str, value: object) -> str | None:
    """Return the typed fact in ``value``: a short token, a key, or a date."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    if fact == "close_date":
        return _date(text)
    return text if len(text) <= 64 else None  # noqa: PLR2004 - a stage or a key, not prose
