"""A message to a recipient as it is kept: plain JSON, from which mails and cards are made.

A person stands in it only where they may be named to the recipient; several of whom they may not be told become one
line with their number, which leads to none of them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from services.hearing.batches import Batch, Item, ordered
from services.hearing.pace import ESCALATED
from services.hearing.shape import Alert

MOST_LINES: Final = 200
"""More are told as a number."""
MOST_GROUPS: Final = 10
MOST_UNJUDGED: Final = 50


class Addressee(NamedTuple):
    """Whom a message goes to. ``address`` is None for a channel."""

    address: str | None
    name: str | None
    zone: str
    language: str = "en"


class Unjudged(NamedTuple):
    """What a rule could not judge: on so many groups, and why. ``groups``: those that may be named."""

    rule: str
    reason: str
    number: int
    groups: Sequence[str] = ()


def unjudged_of(rows: Iterable[tuple[str, str, str, str]], teams: Collection[str] | None) -> list[Unjudged]:
    """Return what was not judged of ``teams``; None: of everybody, without their names.

    ``rows``: rule, reason, and kind and key of the subject.
    """
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for rule, reason, kind, key in rows:
        if teams is None or (kind == "team" and key in teams):
            found[rule, reason].append(key)
    return [
        Unjudged(*why, len(keys), () if teams is None else keys[:MOST_GROUPS])
        for why, keys in list(found.items())[:MOST_UNJUDGED]
    ]


def body(
    batch: Batch,
    to: Addressee,
    tenant: str,
    day: date,
    *,
    names: Mapping[str, str],
    children: Mapping[str, Sequence[Alert]],
    standing: Sequence[Item] = (),
    unjudged: Sequence[Unjudged] = (),
) -> dict[str, Any]:
    """Return ``batch`` as it is kept. ``children``: what an alert speaks for; ``names``: of people by their keys."""
    lines = _lines(batch.items, names, children)
    still = _lines(ordered(standing), names, children)
    return {
        "kind": batch.kind,
        "to": {"address": to.address, "name": to.name},
        "tenant": tenant,
        "language": to.language,
        "zone": to.zone,
        "day": day.isoformat(),
        "lines": lines[:MOST_LINES],
        "standing": still[: max(0, MOST_LINES - len(lines))],
        "more": max(0, len(lines) + len(still) - MOST_LINES),
        "unjudged": [
            {"rule": one.rule, "reason": one.reason, "count": one.number, "groups": list(one.groups)}
            for one in unjudged
        ],
    }


def _lines(
    items: Iterable[Item], names: Mapping[str, str], children: Mapping[str, Sequence[Alert]]
) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    counted: dict[tuple[str, ...], dict[str, Any]] = {}
    for item in items:
        alert = item.alert
        line = _line(item, names, children)
        if alert.subject_kind != "user" or item.heard.named:
            lines.append(line)
            continue
        key = (item.what, alert.rule, alert.title, alert.severity)
        if key in counted:
            counted[key]["people"] += 1
            counted[key]["since"] = min(counted[key]["since"], line["since"])
        else:
            counted[key] = {**line, "alert": None, "people": 1}
            lines.append(counted[key])
    return lines


def _line(item: Item, names: Mapping[str, str], children: Mapping[str, Sequence[Alert]]) -> dict[str, Any]:
    alert = item.alert
    named = alert.subject_kind == "user" and item.heard.named
    return {
        "alert": alert.id,
        "what": item.what,
        "rule": alert.rule,
        "severity": alert.severity,
        "title": alert.title,
        "person": names.get(alert.subject_key, alert.subject_key) if named else None,
        "since": alert.opened_at.isoformat(),
        "until": None if alert.resolved_at is None else alert.resolved_at.isoformat(),
        "action": alert.action,
        "suspected": alert.tier == "suspected",
        "carried_up": bool(alert.escalation) and item.heard.role in ESCALATED,
        "children": [
            {"alert": child.id, "title": child.title}
            for child in children.get(alert.id, ())
            if child.subject_kind != "user"
        ],
        "children_people": sum(child.subject_kind == "user" for child in children.get(alert.id, ())),
    }


def told_of(kept: Mapping[str, Any], tenant: str, now: datetime) -> Mapping[str, Any]:
    """Return what a message tells people: ``kept``, or of a trial, which tells of no alert, that it arrived."""
    if "lines" in kept:
        return kept
    line: dict[str, Any] = {
        "alert": None,
        "what": "opened",
        "rule": "trial",
        "severity": "info",
        "title": "This is a test",
        "person": None,
        "since": now.isoformat(),
        "until": None,
        "action": "Nothing is to be done. Alerts will arrive like this.",
        "suspected": False,
        "carried_up": False,
        "children": [],
        "children_people": 0,
    }
    made = {"kind": "change", "to": {"address": None, "name": None}, "tenant": tenant, "language": "en", "zone": "UTC"}
    return {**made, "day": now.date().isoformat(), "lines": [line], "standing": [], "more": 0, "unjudged": []}
