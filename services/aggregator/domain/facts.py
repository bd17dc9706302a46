"""Facts: what one person did on one local day. Folding is commutative, so order of arrival is no matter."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from schemas.events import HUMAN_ORIGINS, LOGIN, RECORD_PREFIX, SESSION_PREFIX, Event
from services.aggregator.domain.directory import EPOCH

DAY: Final = 86_400
QUARTER: Final = 900
"""Days begin on quarters of an hour; only where clocks are set back over a midnight does one hold parts of two days."""

HOURS_A_DAY: Final = 24
LOGIN_FAILED: Final = "crm.session.login_failed"


class LocalDays:
    """The calendar day of an instant in one time zone, remembered by quarter of an hour."""

    def __init__(self, time_zone: str) -> None:
        self._zone = None if time_zone == "UTC" else ZoneInfo(time_zone)
        self._days: dict[int, int | None] = {}

    def day(self, instant: datetime) -> int:
        """Return the local day of ``instant``, in days since 1970-01-01."""
        seconds = int(instant.timestamp())
        if self._zone is None:
            return seconds // DAY
        quarter = seconds // QUARTER
        if quarter not in self._days:
            first, last = (self._exactly(instant) for instant in (quarter * QUARTER, quarter * QUARTER + QUARTER - 1))
            self._days[quarter] = first if first == last else None
        day = self._days[quarter]
        return self._exactly(seconds) if day is None else day

    def _exactly(self, seconds: int) -> int:
        return datetime.fromtimestamp(seconds, self._zone).toordinal() - EPOCH


class Claimed(NamedTuple):
    """An event seen for the first time: the instant it counts at, in UTC, its identity, and when it arrived."""

    event: Event
    at: datetime
    identity: bytes
    received_at: datetime


class PersonDayKey(NamedTuple):
    """Whose day: ``user`` is '' for events without a user."""

    tenant: str
    user: str
    day: int


class Activity:
    """What a batch adds to one person's day."""

    __slots__ = (
        "actions", "events", "first_at", "first_login_at", "first_qualifying_at",
        "last_at", "last_login_at", "logins", "qualifying",
    )  # fmt: skip

    def __init__(self, at: datetime) -> None:
        self.events = self.logins = self.actions = self.qualifying = 0
        self.first_at = self.last_at = at
        self.first_login_at: datetime | None = None
        self.last_login_at: datetime | None = None
        self.first_qualifying_at: datetime | None = None

    def add(self, event: Event, at: datetime) -> None:
        """Count one more event at ``at``."""
        self.events += 1
        if at < self.first_at:
            self.first_at = at
        elif at > self.last_at:
            self.last_at = at
        is_login, is_action, is_work = _meaning(event.type)
        if is_login:
            self.logins += 1
            if self.first_login_at is None or at < self.first_login_at:
                self.first_login_at = at
            if self.last_login_at is None or at > self.last_login_at:
                self.last_login_at = at
        elif is_action:
            self.actions += 1
        data = event.data
        if is_work and data.origin in HUMAN_ORIGINS and data.environment == "production":
            self.qualifying += 1
            if self.first_qualifying_at is None or at < self.first_qualifying_at:
                self.first_qualifying_at = at


@lru_cache(maxsize=4096)
def _meaning(kind: str) -> tuple[bool, bool, bool]:
    """Tell of an event type whether it is a login, an action, and work in the CRM (a refused login is not)."""
    return kind == LOGIN, not kind.startswith(SESSION_PREFIX), kind.startswith("crm.") and kind != LOGIN_FAILED


class Seen:
    """What a batch holds of one source: its newest event and login, and how many events in each hour."""

    __slots__ = ("hours", "latest", "latest_login")

    def __init__(self, latest: datetime) -> None:
        self.latest = latest
        self.latest_login: datetime | None = None
        self.hours: dict[int, int] = {}

    @property
    def events(self) -> int:
        """How many events there are in all."""
        return sum(self.hours.values())


def fold(claimed: Iterable[Claimed], days: Mapping[str, LocalDays]) -> dict[PersonDayKey, Activity]:
    """Return what ``claimed`` events add to each person's day; ``days`` by tenant."""
    folded: dict[tuple[str, str, int], Activity] = {}
    for event, at, _, _ in claimed:
        key = (event.tenant, event.data.user or "", days[event.tenant].day(at))
        activity = folded.get(key)
        if activity is None:
            activity = folded[key] = Activity(at)
        activity.add(event, at)
    return {PersonDayKey(*key): activity for key, activity in folded.items()}


def sources(claimed: Iterable[Claimed]) -> dict[tuple[str, str], Seen]:
    """Return what ``claimed`` events show of each (tenant, source)."""
    found: dict[tuple[str, str], Seen] = {}
    for event, at, _, _ in claimed:
        key = (event.tenant, event.source)
        seen = found.get(key)
        if seen is None:
            seen = found[key] = Seen(at)
        elif at > seen.latest:
            seen.latest = at
        if event.type == LOGIN and (seen.latest_login is None or at > seen.latest_login):
            seen.latest_login = at
        hour = at.toordinal() * HOURS_A_DAY + at.hour
        seen.hours[hour] = seen.hours.get(hour, 0) + 1
    return found


Mark: TypeAlias = tuple[str, str, str, date | None, date | None]
"""What is to be measured anew: tenant, kind, subject, the first and last UTC day something changed on; None: any."""

Days: TypeAlias = tuple[date, date]
"""The first and the last of some UTC days."""


def marks(
    claimed: Iterable[Claimed], folded: Mapping[PersonDayKey, Activity], strangers: Container[tuple[str, str]]
) -> Sequence[Mark]:
    """Return whom and which records ``claimed`` events are about; strangers only once the directory knows them."""
    people: dict[tuple[str, str], Days] = {}
    for (tenant, user, _), activity in folded.items():
        if user and (tenant, user) not in strangers:
            _touch(people, (tenant, user), activity.first_at.date(), activity.last_at.date())
    records: dict[tuple[str, str], Days] = {}
    for event, at, _, _ in claimed:
        if is_of_record(event):
            data = event.data
            day = at.date()
            _touch(records, (event.tenant, f"{data.object}\t{data.record}"), day, day)
    return [
        (tenant, kind, subject, *days)
        for kind, found in (("person", people), ("record", records))
        for (tenant, subject), days in found.items()
    ]


def is_of_record(event: Event) -> bool:
    """Tell whether an event is about a record."""
    return bool(event.data.record and event.data.object) and event.type.startswith(RECORD_PREFIX)


def tells_of_record(event: Event) -> bool:
    """Tell whether an event belongs to the history of a record: what is done elsewhere than in production does not."""
    return event.data.environment == "production" and is_of_record(event)


def _touch(found: dict[tuple[str, str], Days], key: tuple[str, str], low: date, high: date) -> None:
    days = found.get(key)
    if days is None:
        found[key] = (low, high)
    elif low < days[0] or high > days[1]:
        found[key] = (min(low, days[0]), max(high, days[1]))


def as_date(day: int) -> date:
    """Return the date of a day number."""
    return date.fromordinal(day + EPOCH)


def as_instant_of_hour(hour: int) -> datetime:
    """Return the beginning of an hour, as ``Seen`` numbers them."""
    return datetime.combine(date.fromordinal(hour // HOURS_A_DAY), time(hour % HOURS_A_DAY), UTC)


@lru_cache(maxsize=1024)
def as_instant(milliseconds: int) -> datetime:
    """Return the instant of a record's timestamp."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
