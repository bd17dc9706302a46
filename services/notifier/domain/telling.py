"""Which changes a subscription is told of, and the message to a machine.

Who was told that an alert opened is told that it ended, whatever has changed since; nobody else is.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final

from schemas.subscriptions import CLOSING, OPENING, Filter
from services.notifier.domain.shape import Change, MessageKind, Planned, Subscription, message_id

ENDED: Final = "This alert has ended."
_RESTATED: Final = "restated"


def worth_telling(filter_: Filter, changes: Iterable[Change], told: AbstractSet[str]) -> Iterator[Change]:
    """Yield those of ``changes`` that are told. ``told``: the alerts that were, before the first of them."""
    known = set(told)
    for change in changes:
        if _tells(filter_, change, known):
            known.add(change.alert)
            yield change


def _tells(filter_: Filter, change: Change, told: AbstractSet[str]) -> bool:
    if filter_.kinds and change.kind not in filter_.kinds:
        return False
    if change.kind in CLOSING:
        return change.alert in told
    if change.body.get("suppressed_by") is not None or not (filter_.kinds or change.kind in OPENING):
        return False
    return takes(filter_, change.body)


def takes(filter_: Filter, alert: Mapping[str, Any]) -> bool:
    """Return whether ``alert`` is one of those that are asked for."""
    subject = alert["subject"]
    team = subject["key"] if subject["kind"] == "team" else alert["evidence"].get("team")
    asked = (
        (filter_.rules, alert["rule"]),
        (filter_.severities, alert["severity"]),
        (filter_.tiers, alert["tier"]),
        (filter_.subject_kinds, subject["kind"]),
        (filter_.teams, team),
    )
    return all(not wanted or value in wanted for wanted, value in asked)


def ended(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``alert`` for who was told of it and may not see it any more: that it ended, and nothing else."""
    return {**alert, "title": ENDED, "evidence": {}, "audience": [], "action": ""}


def people_in(alert: Mapping[str, Any]) -> list[str]:
    """Return whom an alert names."""
    subject = alert["subject"]
    if subject["kind"] == "user":
        return [subject["key"]]
    people = alert["evidence"].get("people")
    return [str(person) for person in people] if isinstance(people, list) else []


def kind_of(change: Change) -> MessageKind:
    """Return what sort of message tells of ``change``: a correction says that there was no reason."""
    return "correction" if change.kind in CLOSING and change.body["resolution"] == _RESTATED else "change"


def content(tenant: str, change: Change) -> dict[str, Any]:
    """Return what is told of ``change`` to machines, on Kafka and by webhook."""
    return {
        "tenant": tenant,
        "seq": change.seq,
        "kind": change.kind,
        "state": change.state,
        "actor": change.actor,
        "as_of": change.as_of,
        "at": change.at,
        "detail": dict(change.detail),
        "alert": dict(change.body),
    }


def message(subscription: Subscription, change: Change, now: datetime) -> Planned:
    """Return the message that tells a machine of ``change``, at once."""
    kind = kind_of(change)
    return Planned(
        message=message_id(subscription.tenant, subscription.id, "", kind, [change.alert], [change.seq]),
        kind=kind,
        body={"type": f"alert.{change.kind}", "timestamp": change.at, "data": content(subscription.tenant, change)},
        due_at=now,
        alerts=(change.alert,),
        changes=(change.seq,),
        lane=change.alert,
    )
