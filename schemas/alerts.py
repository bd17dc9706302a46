"""The alert as everybody sees it: in the history, at the API, on the topic. One shape, made in one place."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

DIAGNOSED: Final = frozenset({"team", "role", "tenant"})
"""Kinds of subject whose alerts come with a diagnosis."""
ORDER: Final = "select pg_advisory_xact_lock(hashtextextended('alert_change ' || $1, 0))"
"""Lets one transaction at a time add changes of a tenant, until it ends. Taken before any row of an alert is locked."""
CHANNEL: Final = "uptake_alerts"
WAKE: Final = f"select pg_notify('{CHANNEL}', $1)"
"""Tells who listens, when the transaction ends, that there are new changes of a tenant."""


def item(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published form of an alert from its ``columns`` (the names of the table ``alert``).

    Instants stay ``datetime``: whoever writes the JSON writes them as RFC 3339.
    """
    path = f"/v1/alerts/{columns['id']}"
    links = {"self": path, "history": f"{path}/history"}
    if columns["wave"] is not None:
        links["wave"] = f"/v1/waves/{quote(columns['wave'], safe='')}/connection"
    if columns["subject_kind"] in DIAGNOSED:
        links["diagnosis"] = f"{path}/diagnosis"
    return {
        "id": columns["id"],
        "rule": columns["rule"],
        "rule_version": columns["rule_version"],
        "severity": columns["severity"],
        "tier": columns["tier"],
        "state": columns["state"],
        "suppressed_by": columns["suppressed_by"],
        "subject": {"kind": columns["subject_kind"], "key": columns["subject_key"]},
        "title": columns["title"],
        "opened_at": columns["opened_at"],
        "updated_at": columns["updated_at"],
        "resolved_at": columns["resolved_at"],
        "resolution": columns["resolution"],
        "window": columns["window"],
        "evidence": columns["evidence"],
        "audience": columns["audience"],
        "action": columns["action"],
        "links": links,
        "acknowledged_at": columns["acknowledged_at"],
        "snoozed_until": columns["snoozed_until"],
        "assignee": columns["assignee"],
        "plan_on": columns["plan_on"],
        "escalation": columns["escalation"],
        "useful": columns["useful"],
        "episode": columns["episode"],
        "revision": columns["revision"],
    }
