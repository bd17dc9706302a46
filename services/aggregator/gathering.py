"""Gathers what the rules of launches and of the weeks since them rest on: of the scope, and of nobody else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from services.aggregator.domain.calendar import DAY, Calendar
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.logins import ALL, known
from services.aggregator.domain.rules import change
from services.aggregator.domain.rules.access import NOT_BY
from services.aggregator.domain.rules.change import History
from services.aggregator.domain.rules.judge import Policy
from services.aggregator.domain.scope import TENANT, Scope, a_day_began, noon_passed
from services.aggregator.domain.silence import Silence, blind_from
from services.aggregator.domain.waves import CHECKPOINTS, Rollout, Wave, connections
from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.listening import Ears, listen
from services.aggregator.measuring.house import zones as zones_of
from services.aggregator.store import cohorts as cohort_store
from services.aggregator.store import evaluation as store
from services.aggregator.store import judging
from services.aggregator.store import measures as measure_store
from services.aggregator.store import rules as rule_store
from services.aggregator.store import silence as silence_store
from services.aggregator.store import weeks as week_store
from services.aggregator.store.evaluation import Case
from services.aggregator.store.weeks import Pair
from services.metrics import policy as metrics_policy
from services.metrics.levels import LAUNCH_DAYS
from services.metrics.shape import week_of
from services.metrics.windows import end_of
from services.postgres import Connection
from services.rules.pack import Spec
from services.rules.shape import Rule

DEAF_AFTER: Final = timedelta(minutes=10)
"""Who has not read the log for so long cannot say that a source is silent, or that it speaks again."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A tenant during one evaluation. ``now`` is its time; ``zones``: where its people are.

    ``since``: since when the first waited of whom is judged, None: nobody did. ``real_now``: what the wall clock shows,
    by which alerts are delivered; None: nobody asks.
    """

    tenant: str
    case: Case
    policy: Policy
    rules: Mapping[str, Rule]
    waves: Sequence[Wave]
    zones: Sequence[tzinfo]
    now: datetime
    silences: Sequence[Silence] = ()
    since: datetime | None = None
    real_now: datetime | None = None

    @property
    def calendar(self) -> Calendar:
        """The tenant's calendar."""
        return self.policy.calendar

    @property
    def wall(self) -> bool:
        """Whether the tenant lives on the wall clock."""
        return bool(self.case.settings["clock"] == "wall")


def policy_of(case: Case) -> Policy:
    """Return what the tenant has decided."""
    settings = case.settings
    calendar = Calendar(
        zone=ZoneInfo(settings["time_zone"]),
        working=settings["day_counting"] == "working",
        work_days=frozenset(settings["work_days"]),
        holidays=frozenset(settings["holidays"]),
    )
    return Policy(calendar, settings["min_group"], name_people=settings["individual_visibility"] != "off")


async def zones(tx: Connection, tenant: str, case: Case) -> list[tzinfo]:
    """Return the time zones of the tenant and its people."""
    return zones_of([case.settings["time_zone"], *await measure_store.zones(tx, tenant)])


async def ground_of(
    tx: Connection, tenant: str, case: Case, now: datetime, drafts: Mapping[str, Spec] = rule_store.NO_DRAFTS
) -> Ground:
    """Return the tenant at its ``now``, before anybody has listened; ``drafts`` of rules stand before its own."""
    return Ground(
        tenant,
        case,
        policy_of(case),
        await rule_store.rules(tx, tenant, drafts),
        await cohort_store.waves(tx, tenant),
        await zones(tx, tenant, case),
        now,
    )


async def heard(tx: Connection, ground: Ground) -> tuple[list[Silence], bool]:
    """Listen; return the tenant's silences, and whether others are known of than before.

    On the wall clock only up to when the log was read, since what is not read yet is not missing. Where a silence waits
    for its numbers, the tenant waits on.
    """
    tenant, now = ground.tenant, ground.now
    before = await silence_store.stored(tx, tenant)
    if ground.wall:
        now = min(now, (await store.log_state(tx)).drained_at)
        if now < ground.now - DEAF_AFTER:
            return before, False
    week = week_of(ground.calendar.day_of(ground.now), ground.case.settings["first_day_of_week"])
    ears = Ears(ground.calendar, event_clock=not ground.wall, now=now, week=end_of(week, ground.zones))
    after, held = await listen(tx, tenant, ears)
    if held:
        await judging.queue(tx, tenant, {TENANT}, ground.since)
    return after, set(after) != set(before)


def time_passed(ground: Ground) -> bool:
    """Tell whether so much time passed since the last evaluation that everybody is to be judged."""
    return a_day_began(ground.case.as_of, ground.now, ground.zones)


def launching(ground: Ground) -> frozenset[str]:
    """Return the waves that may be judged otherwise than at the last evaluation: those in their launch."""
    case, calendar = ground.case, ground.calendar
    if case.before == case.version and not noon_passed(case.as_of, ground.now, calendar.zone):
        return frozenset()
    return frozenset(wave.id for wave in ground.waves if _in_launch(wave, calendar, ground.now))


def _in_launch(wave: Wave, calendar: Calendar, now: datetime) -> bool:
    first, last = calendar.start_of(wave.go_live), calendar.end_of(calendar.day_n(wave.go_live, max(CHECKPOINTS)))
    return first <= now + DAY and now - DAY <= last


async def rollouts(tx: Connection, ground: Ground, scope: Scope) -> list[Rollout]:
    """Return the launches in ``scope`` with who connected."""
    tenant, calendar, now = ground.tenant, ground.calendar, ground.now
    waves = [wave for wave in ground.waves if scope.everything or wave.id in scope.launches]
    return await rollouts_of(tx, tenant, waves, ground.case, calendar, now, ground.silences)


async def rollouts_of(
    tx: Connection,
    tenant: str,
    waves: Sequence[Wave],
    case: Case,
    calendar: Calendar,
    now: datetime | None,
    silences: Sequence[Silence],
) -> list[Rollout]:
    """Return ``waves`` with who connected; ``now`` None: the tenant has no time yet."""
    connected_by = case.settings["connected_by"]
    cohorts = await cohort_store.cohorts(tx, tenant, waves, connected_by)
    late: dict[Wave, list[str]] = {}
    for wave in waves:
        deadline = calendar.day_n(wave.go_live, NOT_BY)
        if now is not None and calendar.end_of(deadline) <= now:
            groups = [group for group in cohorts.get(wave.id, ()) if group.day is None or group.day > deadline]
            late[wave] = [user for group in groups for user in group.people]
    refused = {wave.id: await _refused(tx, tenant, wave, users, case, calendar) for wave, users in late.items()}
    stragglers = await cohort_store.stragglers(
        tx, tenant, late, metrics_policy.policy_of(case.settings, waves=True), refused
    )
    far = ALL
    if connected_by == "login":
        tell = await store.login_sources(tx, tenant)
        far, names = known(tell), {source.name for source in tell}
        silences = [each for each in silences if each.source in names]
    return [
        Rollout(
            wave,
            cohorts.get(wave.id, ()),
            stragglers.get(wave.id, ()),
            far._replace(blind=blind_from(silences, calendar.start_of(wave.go_live))),
        )
        for wave in waves
    ]


async def _refused(
    tx: Connection, tenant: str, wave: Wave, users: Sequence[str], case: Case, calendar: Calendar
) -> cohort_store.Refused:
    """Return when logins of ``users`` were refused until the last day that is judged; None: not all of it is kept."""
    start, end = calendar.start_of(wave.go_live), calendar.end_of(calendar.day_n(wave.go_live, LAUNCH_DAYS))
    kept_from = case.settings["activity_from"]
    if kept_from is not None and start.astimezone(UTC).date() < kept_from:
        return None
    return await cohort_store.refused(tx, tenant, users, start, end, case.settings["time_zone"])


async def timeless(tx: Connection, tenant: str, case: Case) -> dict[str, list[Connected]]:
    """Return the connections of a tenant that has no time yet: who is to come."""
    calendar = policy_of(case).calendar
    waves = await cohort_store.waves(tx, tenant)
    found = await rollouts_of(tx, tenant, waves, case, calendar, None, ())
    return {rollout.wave.id: connections(rollout, calendar, None) for rollout in found}


async def histories(tx: Connection, ground: Ground, scope: Scope) -> list[History]:
    """Return the weeks of the groups in ``scope`` since the go-live of their wave."""
    calendar, tenant = ground.calendar, ground.tenant
    ended = {wave.id: change.weeks_ended(wave.go_live, calendar, ground.now) for wave in ground.waves}
    if max(ended.values(), default=0) <= 1 or not (scope.everything or scope.groups):
        return []
    teams = await week_store.teams(tx, tenant) if scope.everything else _teams(scope.groups)
    watched = [each for each in change.watch(ground.waves, teams) if scope.holds(each.subject)]
    weeks = await week_store.weeks(
        tx, tenant, {each: ended[each.wave.id] for each in watched if ended[each.wave.id] > 1}
    )
    pairs: dict[change.Watched, dict[int, Pair]] = {}
    for each, past in weeks.items():
        base = change.last_day(each.wave.go_live, 1)
        pairs[each] = {
            number: Pair(*each.subject, base, change.last_day(each.wave.go_live, number))
            for number in change.doubtful_weeks(past, ground.rules)
        }
    people = await week_store.same_people(
        tx, tenant, sorted({pair for told in pairs.values() for pair in told.values()})
    )
    return [
        History(
            each,
            past,
            {number: people[pair] for number, pair in pairs[each].items()},
            _unknown(each.wave, past, calendar, ground.silences),
        )
        for each, past in weeks.items()
    ]


def _teams(groups: Collection[Subject]) -> list[str]:
    return [subject.key for subject in groups if subject.kind == "team"]


def _unknown(
    wave: Wave, weeks: Sequence[change.Week], calendar: Calendar, silences: Sequence[Silence]
) -> frozenset[int]:
    """Return the weeks in which people may have come unseen."""
    if not silences:
        return frozenset()
    spans = {week.number: change.span(wave.go_live, week.number, calendar) for week in weeks}
    return frozenset(number for number, span in spans.items() if any(each.touches(*span) for each in silences))
