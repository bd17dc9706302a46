"""Days of a tenant: which calendar day an instant falls on, and how settled the windows of a day are.

A day is half-open, ``[midnight, next midnight)``, in the tenant's time zone.
"""

import functools
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

EVALUATION_DELAY: Final = timedelta(hours=2)
GRACE: Final = timedelta(hours=48)
_NO_PLACES: Final = frozenset({"Factory", "localtime", "posixrules"})
"""What some machines list beside the time zones: there it means whatever the machine is set to."""


@functools.cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones."""
    return frozenset(available_timezones()) - _NO_PLACES


def local_day(now: datetime, time_zone: str) -> date:
    """Return the calendar day of ``now`` in ``time_zone``."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def day_start(day: date, time_zone: str) -> datetime:
    """Return the instant at which ``day`` begins in ``time_zone``."""
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)


def final_before(now: datetime, time_zone: str) -> date:
    """Return the first day whose windows are not final yet: every earlier day is."""
    settled = now - EVALUATION_DELAY - GRACE
    return local_day(settled, time_zone)


def window_state(as_of: date, revision: int, *, today: date, final_from: date) -> str:
    """Return how settled the window that ends with ``as_of`` is."""
    if as_of >= today:
        return "open"
    if revision > 0:
        return "restated"
    return "final" if as_of < final_from else "provisional"
