"""How far groups came and what their metrics were, as samples: told as the API tells whoever may see no single person.

Only full weeks are told, the last one and the one before: a week that has just begun says nothing yet.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from services.api import judged, scenes
from services.api.auth import Caller, Principal
from services.api.gauges import families
from services.api.scenes import Gathered, Wanted
from services.api.store.sessions import Walled
from services.api.store.tenants import Tenant
from services.metrics.answers import Answer, Asked
from services.metrics.catalogue import METRICS, Metric, by_code
from services.metrics.levels import LEVEL
from services.metrics.shape import Interval, week_of
from services.postgres import Connection, Pool

MOST_JUDGED: Final = 40
"""Of so many groups of a dimension it is shown how far they came: of the first by name."""
HEADLINES: Final = ("M10", "M12", "M25", "M26")
"""What is told of teams and roles; of the tenant everything is."""
SHARES: Final = tuple(
    metric
    for metric in METRICS.values()
    if metric.unit == "%" and metric.parameter is None and metric.combination != "absent" and "week" in metric.windows
)
WEEKS: Final = ("before", "last")
_A_WEEK: Final = timedelta(weeks=1)
_DAY: Final = timedelta(days=1)

Found = dict[str, list[tuple[tuple[str, ...], float]]]


def onlooker(tenant: Tenant, pool: Pool, now: datetime) -> Caller:
    """Return who is told no more than anybody may be told who sees the numbers of groups."""
    nobody = Principal("", "", tenant.id, frozenset({"scrape"}), None)
    return Caller(nobody, replace(tenant, individual_visibility="off"), Walled(pool, tenant.id), now)


def chosen(groups: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """Return those of ``groups`` that are told of."""
    keys: dict[str, list[str]] = defaultdict(list)
    for dimension, key in groups:
        keys[dimension].append(key)
    return [(dimension, key) for dimension in keys for key in sorted(keys[dimension])[:MOST_JUDGED]]


async def of_group(caller: Caller, connection: Connection, group: tuple[str, str], now: datetime, today: date) -> Found:
    """Return the level of one group in the last full week, and its metrics in that and the one before."""
    this_week = week_of(today, caller.tenant.first_day_of_week)
    wanted = Wanted(*group, "week", this_week - 2 * _A_WEEK, this_week - _DAY, reach=judged.REACH)
    gathered = await scenes.gather(caller, connection, wanted, now)
    last = replace(gathered, windows=gathered.windows[-1:])
    (level,) = await judged.items(caller, connection, LEVEL, last)
    labels = (caller.tenant.id, *group)
    found: Found = defaultdict(list)
    if level["reason"] is None:
        found[families.LEVEL].append((labels, level["level"]))
        found[families.VERDICT].append(((*labels, level["phase"], level["verdict"]), 1))
    for name, week in zip(WEEKS, gathered.windows, strict=True):
        for answer in _answers(gathered, group, week):
            metric = answer.asked.metric.id
            if answer.value is not None:
                found[families.METRIC].append(((*labels, metric, name), float(answer.value)))
            elif name == WEEKS[-1] and answer.reason is not None:
                found[families.UNKNOWN].append(((caller.tenant.id, metric, answer.reason), 1))
    return found


def _answers(gathered: Gathered, group: tuple[str, str], week: Interval) -> Iterable[Answer]:
    metrics: Iterable[Metric] = SHARES
    if group[0] != "tenant":
        metrics = [metric for code in HEADLINES if (metric := by_code(code)) is not None]
    return [gathered.teller.answer(Asked(metric, None, "week", week)) for metric in metrics]


def added(parts: Iterable[Found]) -> families.Samples:
    """Return all samples of a tenant; how many values are unknown is added up."""
    found: Found = defaultdict(list)
    unknown: Counter[tuple[str, ...]] = Counter()
    for part in parts:
        for family, samples in part.items():
            if family == families.UNKNOWN:
                for labels, value in samples:
                    unknown[labels] += int(value)
            else:
                found[family] += samples
    found[families.UNKNOWN] = sorted(unknown.items())
    return found
