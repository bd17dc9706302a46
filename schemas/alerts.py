"""The alert as everybody sees it: in the history, at the API, on the topic. One shape, made in one place."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote


def item(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published form of an alert from its ``columns`` (the names of the table ``alert``).

    Instants stay ``datetime``: whoever writes the JSON writes them as RFC 3339.
    """
    path = f"/v1/alerts/{columns['id']}"
    links = {"self": path, "history": f"{path}/history"}
    if columns["wave"] is not None:
        links["wave"] = f"/v1/waves/{quote(columns['wave'], safe='')}/connection"
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
        "episode": columns["episode"],
        "revision": columns["revision"],
    }
