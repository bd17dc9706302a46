"""Alerts in the form of Prometheus Alertmanager, API v2.

The labels of an alert are its identity there: they stay as long as its severity does, and no person is one of them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

from services.hearing.shape import RANK, RESOLVED

PATH: Final = "/api/v2/alerts"
STAYS: Final = timedelta(minutes=15)
"""So long an alert burns there unless it is told again."""
AGAIN_EVERY: Final = timedelta(minutes=1)


def endpoint(url: str) -> str:
    """Return the address that takes alerts, of an Alertmanager at ``url``."""
    base = url.rstrip("/")
    return base if base.endswith(PATH) else base + PATH


def posting(tenant: str, alert: Mapping[str, Any], kind: str, now: datetime, links: str) -> list[dict[str, Any]]:
    """Return what is posted when ``kind`` happened to a published ``alert``.

    Where it has become louder, what it was before ends.
    """
    starts, quiet = _instant(alert["opened_at"]), alert["severity"]
    over = alert["state"] == RESOLVED
    ends = max(starts, min(_instant(alert["resolved_at"] or now), now)) if over else now + STAYS
    made = [_posted(tenant, alert, quiet, (starts, ends), links)]
    if kind == "raised":
        lower = [severity for severity, rank in RANK.items() if rank < RANK[quiet]]
        made += [_posted(tenant, alert, severity, (starts, max(starts, now)), links) for severity in lower]
    return made


def trial(tenant: str, now: datetime) -> list[dict[str, Any]]:
    """Return an alert that only shows that alerts arrive. It is over after a moment."""
    return [
        {
            "labels": {"alertname": "uptake-test", "severity": "info", "tenant": tenant},
            "annotations": {"summary": "This is a test", "description": "Nothing is to be done."},
            "startsAt": now.isoformat(),
            "endsAt": (now + AGAIN_EVERY).isoformat(),
        }
    ]


def _posted(
    tenant: str, alert: Mapping[str, Any], severity: str, span: tuple[datetime, datetime], links: str
) -> dict[str, Any]:
    subject = alert["subject"]
    labels = {
        "alertname": alert["rule"],
        "alert": alert["id"],
        "rule": alert["rule"],
        "severity": severity,
        "subject_kind": subject["kind"],
        "tenant": tenant,
        **({} if subject["kind"] == "user" else {"subject": subject["key"]}),
        **({"wave": wave} if (wave := _wave(alert)) else {}),
    }
    evidence = alert["evidence"]
    annotations = {
        "summary": alert["title"],
        "description": alert["action"],
        "tier": alert["tier"],
        **({"count": f"{evidence['num']} of {evidence['den']}"} if {"num", "den"} <= set(evidence) else {}),
        **({"resolution": alert["resolution"]} if alert["resolution"] else {}),
    }
    url = f"{links.rstrip('/')}/v1/alerts/{alert['id']}" if links else ""
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": annotations,
        "startsAt": span[0].isoformat(),
        "endsAt": span[1].isoformat(),
        **({"generatorURL": url} if url else {}),
    }


def _wave(alert: Mapping[str, Any]) -> str | None:
    """Return the wave an alert belongs to, as its links name it."""
    link: str = alert["links"].get("wave", "")
    return unquote(link.removeprefix("/v1/waves/").removesuffix("/connection")) or None


def _instant(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
