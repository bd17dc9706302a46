"""The calendar of a rollout (RFC 5545): go-lives and their checkpoints, agreed dates, what was noted. Pure.

An entry keeps its UID, and its SEQUENCE rises when it changes; what no longer stands is cancelled, not left out, as
long as a reader may still show it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from icalendar import Calendar, Event

from services.api.feed_formats import headline

CHECKPOINTS: Final = {1: 80, 3: 70, 5: 90}
"""Working day after the go-live to the share of the people that should have connected, of a hundred."""
_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of whole days. ``last`` is included.

    ``changed``: when it was written or changed last; ``sequence``: which version of it this is.
    """

    uid: str
    title: str
    first: date
    last: date
    changed: datetime
    sequence: int = 0
    text: str = ""
    url: str | None = None
    cancelled: bool = False


def of_waves(tenant: str, waves: Iterable[Mapping[str, Any]], day_n: Callable[[date, int], date]) -> Iterator[Entry]:
    """Give the go-live of each wave and the days on which it is looked how many came; ``day_n``: which day D+n is."""
    for wave in waves:
        uid, made = f"wave-{wave['id']}", wave["created_at"]
        yield Entry(f"{uid}-go-live@{tenant}", f"Go-live: {wave['name']}", wave["go_live"], wave["go_live"], made)
        for n, target in CHECKPOINTS.items():
            day = day_n(wave["go_live"], n)
            yield Entry(
                f"{uid}-d{n}@{tenant}",
                f"D+{n}: {wave['name']}",
                day,
                day,
                made,
                text=f"Target: {target} % of the people connected.",
            )


def of_plans(tenant: str, alerts: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[Entry]:
    """Give the dates that were agreed on for alerts; ``names``: what people are called."""
    for alert in alerts:
        if (day := alert.get("plan_on")) is not None:
            day = day if isinstance(day, date) else date.fromisoformat(day)
            yield Entry(
                f"alert-{alert['id']}-plan@{tenant}",
                f"Agreed: {headline(alert, names)}",
                day,
                day,
                alert["updated_at"],
                alert["revision"],
                alert["action"],
                cancelled=alert["state"] == "resolved",
            )


def of_annotations(tenant: str, annotations: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    """Give what was noted."""
    for noted in annotations:
        first, last = noted["starts_on"], noted["ends_on"] or noted["starts_on"]
        uid, changed = f"annotation-{noted['id']}@{tenant}", noted["updated_at"]
        version = int((changed - _EPOCH).total_seconds())
        yield Entry(uid, noted["title"], first, last, changed, version, noted["kind"], noted["url"])


def calendar(name: str, entries: Sequence[Entry]) -> bytes:
    """Return an iCalendar document of ``entries``."""
    made = Calendar()
    made.add("prodid", "-//Uptake//Adoption calendar//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", name)
    for entry in entries:
        made.add_component(_event(entry))
    return bytes(made.to_ical())


def _event(entry: Entry) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("dtstamp", entry.changed.astimezone(UTC))
    event.add("last-modified", entry.changed.astimezone(UTC))
    event.add("sequence", entry.sequence)
    event.add("summary", entry.title)
    event.add("dtstart", entry.first)
    event.add("dtend", entry.last + _DAY)
    event.add("transp", "TRANSPARENT")
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    if entry.text:
        event.add("description", entry.text)
    if entry.url:
        event.add("url", entry.url)
    return event
