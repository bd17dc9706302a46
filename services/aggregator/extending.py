"""What a batch adds to the windows: which days are new of whom, and what their neighbouring days make of that."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.aggregator.domain import windows
from services.aggregator.domain.facts import Activity, PersonDayKey
from services.aggregator.domain.windows import DayChange, Deltas
from services.aggregator.store import facts as fact_store
from services.aggregator.store.facts import Added
from services.aggregator.store.windows import Person, Terms
from services.postgres import Connection


def changes_of(folded: Mapping[PersonDayKey, Activity], added: Sequence[Added]) -> dict[Person, list[DayChange]]:
    """Return by person what is new in each touched day, ascending by day."""
    changes: dict[Person, list[DayChange]] = defaultdict(list)
    for key, events, logins in sorted(added):
        activity = folded[key]
        change = DayChange(
            key.day,
            activity.actions,
            fresh=events == activity.events,
            fresh_login=activity.logins > 0 and logins == activity.logins,
        )
        changes[key.tenant, key.user].append(change)
    return changes


async def extend(
    tx: Connection,
    deltas: Deltas,
    changes: dict[Person, list[DayChange]],
    roster: dict[Person, Terms | None],
    finals: dict[str, int],
) -> None:
    """Add what ``changes`` do to the windows; only people with a newly active day need their neighbouring days."""
    counted = {person: days for person, days in changes.items() if roster[person]}
    fresh = {person: days for person, days in counted.items() if any(c.fresh or c.fresh_login for c in days)}
    spans = [(*person, days[0].day - windows.REACH, days[-1].day + windows.REACH) for person, days in fresh.items()]
    near = dict(zip(fresh, await fact_store.near(tx, spans), strict=True)) if spans else {}
    for person, days in counted.items():
        active, logged_in = near.get(person, ([], []))
        new_days = {c.day for c in days if c.fresh}
        new_logins = {c.day for c in days if c.fresh_login}
        windows.extend(
            deltas,
            person[0],
            roster[person] or (),
            days,
            active=[day for day in active if day not in new_days],
            logged_in=[day for day in logged_in if day not in new_logins],
            final=finals[person[0]],
        )
