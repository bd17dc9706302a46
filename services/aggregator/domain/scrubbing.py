"""Taking names out of what was written down as JSON: alerts and their history."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

PEOPLE: Final = "people"
"""Where evidence names people; of some rules it is their number."""
PERSON: Final = "person"
"""Who of an audience is told, and who was named to take care."""
WRITTEN: Final = frozenset({"text", "reason"})
"""What people wrote with a change."""


def evidence_without(evidence: Mapping[str, Any], names: Collection[str], stand_in: str | None) -> dict[str, Any]:
    """Return ``evidence`` without ``names``: another one in their place, or None: they are left out.

    Only where people are named: a team may have the name of a person, and keeps it.
    """
    told = evidence.get(PEOPLE)
    if not isinstance(told, list):
        return dict(evidence)
    people = [stand_in if name in names else name for name in told]
    return {**evidence, PEOPLE: [name for name in people if name is not None]}


def audience_without(
    audience: Iterable[Mapping[str, Any]], names: Collection[str], stand_in: str | None
) -> list[dict[str, Any]]:
    """Return ``audience`` without ``names``: the role is told all the same."""
    found = []
    for heard in audience:
        clean = {name: value for name, value in heard.items() if name != PERSON or value not in names}
        found.append({**clean, PERSON: stand_in} if len(clean) < len(heard) and stand_in is not None else clean)
    return found


def body_without(body: Mapping[str, Any], names: Collection[str], stand_in: str | None) -> dict[str, Any]:
    """Return an alert as it was told without ``names``. One about a person of them is about who stands in."""
    subject = dict(body["subject"])
    if subject["kind"] == "user" and subject["key"] in names:
        subject["key"] = stand_in
    assigned = {} if body.get("assignee") not in names else {"assignee": stand_in}
    return {
        **body,
        **assigned,
        "subject": subject,
        "evidence": evidence_without(body["evidence"], names, stand_in),
        "audience": audience_without(body["audience"], names, stand_in),
    }


def detail_without(detail: Mapping[str, Any], names: Collection[str], stand_in: str | None) -> dict[str, Any]:
    """Return what was told with a change without ``names``, and without what anybody wrote."""
    kept = {name: value for name, value in detail.items() if name not in WRITTEN}
    return {**kept, PERSON: stand_in} if kept.get(PERSON) in names else kept


def renamed(fingerprint: str, user: str, stand_in: str) -> str:
    """Return the fingerprint of an alert about ``user`` for the one who stands in."""
    return "\x1f".join(stand_in if part == user else part for part in fingerprint.split("\x1f"))
