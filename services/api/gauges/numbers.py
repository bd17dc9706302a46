"""What is counted of a tenant, as samples: windows of groups, waves, alerts, events and where they come from."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.api import waves as wave_answers
from services.api.gauges import families
from services.api.store import gauges as store
from services.api.store import status, windows
from services.api.store.tenants import Tenant
from services.postgres import Connection, Row
from services.sight import Curtain, curtain

MOST_GROUPS: Final = 500
"""So many teams and roles of a tenant are shown: the first by name."""
WAVE_CONNECTED: Final = "wave_connected"
OUTCOMES: Final = ("folded", "duplicates", "conflicts", "late", "unmapped", "dead_letters")
LOG: Final = "log"
"""Where dead letters come from that no delivery brought in."""


async def of_windows(connection: Connection, tenant: Tenant, today: date, hidden: Curtain) -> families.Samples:
    """Return the windows that end ``today``, of the groups that are not hidden."""
    found: dict[str, list[tuple[tuple[str, ...], float]]] = defaultdict(list)
    for dimension in windows.DIMENSIONS:
        rows = await windows.latest(connection, tenant.id, dimension, today, MOST_GROUPS + 1)
        keys = sorted({row["key"] for row in rows})
        shown = set(keys[:MOST_GROUPS])
        if len(keys) > MOST_GROUPS:
            found[families.TRUNCATED].append(((tenant.id, dimension), 1))
        for row in rows:
            begin = today - timedelta(days=row["days"] - 1)
            group = (dimension, row["key"])
            if row["key"] not in shown or hidden.hides(group, begin, today, row["licensed"]):
                continue
            labels = (tenant.id, *group, f"{row['days']}d")
            if row["days"] == windows.WINDOWS[0]:
                found[families.LICENSED].append((labels[:-1], row["licensed"]))
            found[families.ACTIVE].append((labels, row["active"]))
            found[families.LOGGED_IN].append((labels, row["logged_in"]))
            found[families.RATE].append((labels, row["active"] / row["licensed"]))
    return found


async def of_rest(connection: Connection, tenant: Tenant, now: tuple[datetime, date] | None) -> families.Samples:
    """Return what is asked anew each time. ``now``: the tenant's, and its day; None: it has not begun."""
    unknown = await store.unknown_connections(connection, tenant.id)
    alerts = await store.alerts(connection, tenant.id)
    counts = await status.counts(connection, tenant.id)
    letters = await store.letters(connection, tenant.id)
    annotations = await store.annotations(connection, tenant.id)
    return {
        families.NOW: [] if now is None else [((tenant.id,), now[0].timestamp())],
        **_of_waves(tenant, await _shown_waves(connection, tenant), now and now[1]),
        **await _of_sources(connection, tenant),
        families.UNKNOWN: [((tenant.id, WAVE_CONNECTED, row["reason"]), row["values"]) for row in unknown],
        families.ALERTS: [((tenant.id, row["rule"], row["severity"]), row["alerts"]) for row in alerts],
        families.EVENTS: [((tenant.id, name), counts[name]) for name in OUTCOMES],
        families.LETTERS: [((tenant.id, row["source"] or LOG), row["letters"]) for row in letters],
        families.ANNOTATION: [
            ((tenant.id, row["kind"], row["id"]), _midnight(tenant, row["starts_on"])) for row in annotations
        ],
    }


async def _of_sources(connection: Connection, tenant: Tenant) -> families.Samples:
    heard = [row for row in await status.sources(connection, tenant.id, []) if row["last_event_at"] is not None]
    mute = await status.silent(connection, tenant.id)
    return {
        families.SOURCE_SEEN: [((tenant.id, row["id"]), row["last_event_at"].timestamp()) for row in heard],
        families.SOURCE_SILENT: [((tenant.id, row["id"]), float(row["id"] in mute)) for row in heard],
    }


async def _shown_waves(connection: Connection, tenant: Tenant) -> list[Row]:
    rows = await store.waves(connection, tenant.id)
    if not rows:
        return []
    last = max(row["go_live"] for row in rows) + wave_answers.LONGEST
    hidden = await curtain(connection, tenant, min(row["go_live"] for row in rows), last)
    return [row for row in rows if not wave_answers.hides(hidden, row)]


def _of_waves(tenant: Tenant, rows: Sequence[Row], today: date | None) -> families.Samples:
    """Return D+n of the days that are over, and of waves that went live who has come until now."""
    latest = {row["wave"]: row for row in rows}
    live = [row for row in latest.values() if today is not None and row["go_live"] <= today]
    return {
        families.WAVE_RATIO: [
            ((tenant.id, row["wave"], str(row["n"])), row["num"] / row["den"]) for row in rows if row["settled"]
        ],
        families.WAVE_PEOPLE: [((tenant.id, wave), row["den"]) for wave, row in latest.items()],
        families.WAVE_CONNECTED: [((tenant.id, row["wave"]), row["num"]) for row in live],
        families.WAVE_STARTS: [((tenant.id, wave), _midnight(tenant, row["go_live"])) for wave, row in latest.items()],
    }


def _midnight(tenant: Tenant, day: date) -> float:
    return datetime.combine(day, time(), ZoneInfo(tenant.time_zone)).timestamp()
