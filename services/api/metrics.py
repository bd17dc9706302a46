"""``/v1/metrics``: the catalogue of metrics, and what they are for a group. Unknown is never zero: it has a reason."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.api import comparing, cursors, judged, scenes
from services.api.auth import Caller, Reader
from services.api.comparing import Comparison
from services.api.metric_items import SHOWN, CataloguePage, MetricPage, catalogued, item
from services.api.problems import invalid, not_found
from services.api.scenes import Gathered, Wanted
from services.api.shapes import Cursor, Day, Filter, Instant, Limit, example, page
from services.api.store.sessions import reading
from services.metrics.answers import Asked
from services.metrics.catalogue import METRICS, Metric
from services.metrics.levels import LEVEL, LEVELS
from services.metrics.windows import Name
from services.postgres import Connection

router = APIRouter(prefix="/v1/metrics", tags=["metrics"])

Dimension = Literal["tenant", "wave", "team", "role", "function", "location", "segment"]
Attribution = Literal["as_was", "as_is"]
First = Annotated[Day | None, Query(alias="from", description="Default: 27 days before `to`.")]
Last = Annotated[Day | None, Query(description="Default: the tenant's today; later days have no windows yet.")]
AsOf = Annotated[Instant | None, Query(description="An instant: answer with what was known then.")]
Baseline = Annotated[
    str | None, Query(max_length=256, description="`week1`, `trailing4` or `annotation:<id>`: adds `change`.")
]
ORDER: Final = {identity: place for place, identity in enumerate(METRICS)}
OVERVIEW: Final = [metric for metric in METRICS.values() if metric.code != "M14"]
"""A comparison is asked for by itself."""


class Place(NamedTuple):
    """One item of the list, by its sort key."""

    metric: str
    parameter: str
    start: str


@router.get("", response_model=CataloguePage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(
    caller: Reader,
    dimension: Dimension | None = None,
    key: Filter = None,
    window: Name | None = None,
    from_: First = None,
    to: Last = None,
    as_of: AsOf = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List the catalogue; with a dimension, all metrics of one group by week, or in the window that is named."""
    if dimension is None:
        return page([catalogued(metric) for metric in (*METRICS.values(), *LEVELS)], None)
    group = scenes.group_of(dimension, key)
    mark = cursors.mark("metrics", caller.tenant.id, group, window, from_, to, as_of)
    after = cursors.decode(cursor, mark, Place)
    async with reading(caller.pool) as connection:
        gathered = await _gathered(caller, connection, group, window or "week", (from_, to), as_of=as_of)
        if gathered is None:
            return page([], None)
    asked = gathered.questions(OVERVIEW)
    return _page(gathered, asked, after, limit, mark, caller)


async def _gathered(
    caller: Caller,
    connection: Connection,
    group: tuple[str, str],
    window: Name,
    days: tuple[Any, Any],
    *,
    metric: Metric | None = None,
    as_of: datetime | None = None,
    as_is: bool = False,
    reach: timedelta | None = timedelta(),
) -> Gathered | None:
    """Return what the answers rest on; None: the caller may not know of the group, or the tenant has not begun."""
    begun = await scenes.now_of(caller, connection)
    first, last = scenes.span_of(*days, begun[1] if begun else None)
    if begun is None or first > last or not await scenes.sees(caller, connection, *group):
        return None
    wanted = Wanted(*group, window, first, last, as_of, as_is=as_is and group[0] in scenes.MEMBERSHIP, reach=reach)
    return await scenes.gather(caller, connection, wanted, begun[0], None if metric is None else [metric])


def _page(
    gathered: Gathered, asked: list[Asked], after: Place | None, limit: int, mark: str, caller: Caller
) -> Response:
    chosen, tell = _following(asked, after, limit + 1), gathered.teller.answer
    more = cursors.encode(mark, _place(chosen[limit - 1])) if len(chosen) > limit else None
    group, time_zone = gathered.wanted.group, caller.tenant.time_zone
    return page([item(tell(one), group, time_zone) for one in chosen[:limit]], more)


def _place(asked: Asked) -> Place:
    return Place(asked.metric.id, asked.of or "", asked.span.start.isoformat())


def _rank(place: Place) -> tuple[int, int, str, str]:
    """Return where an item stands: parameters that the catalogue lists in its order, others by name."""
    metric = METRICS.get(place.metric)
    if metric is None:
        raise cursors.strange()
    allowed = (metric.parameter.allowed if metric.parameter else None) or ()
    listed = allowed.index(place.parameter) if place.parameter in allowed else 0
    return ORDER[place.metric], listed, place.parameter if not allowed else "", place.start


def _following(asked: list[Asked], after: Place | None, most: int) -> list[Asked]:
    if after is None:
        return asked[:most]
    rank = _rank(after)
    return list(islice((one for one in asked if _rank(_place(one)) > rank), most))


@router.get("/{metric}", response_model=MetricPage, responses=example({"items": [SHOWN], "next": None}))
async def show(
    metric: str,
    caller: Reader,
    *,
    dimension: Dimension | None = None,
    key: Filter = None,
    window: Name | None = None,
    from_: First = None,
    to: Last = None,
    attribution: Attribution = "as_was",
    baseline: Baseline = None,
    as_of: AsOf = None,
    n: Filter = None,
    object: Filter = None,  # noqa: A002 - the parameter's name
    feature: Filter = None,
    task: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List the values of one metric for one group, by window. ``adoption.level`` tells how far the group has come."""
    found, group = known(metric), scenes.group_of(dimension, key)
    name = scenes.offered(found, window)
    named = {"n": n, "object": object, "feature": feature, "task": task}
    of = parameter_of(found, named)
    comparison = comparing.checked(found, baseline, name)
    _one_of(as_of, attribution, found)
    mark = cursors.mark("metric", caller.tenant.id, metric, group, name, from_, to, attribution, baseline, as_of, named)
    after = cursors.decode(cursor, mark, Place)
    async with reading(caller.pool) as connection:
        gathered = await _gathered(
            caller,
            connection,
            group,
            name,
            (from_, to),
            metric=found if comparison is None else comparison.counted,
            as_of=as_of,
            as_is=attribution == "as_is",
            reach=_reach(found, comparison),
        )
        if gathered is None:
            return page([], None)
        if found in LEVELS:
            return _listed(await judged.items(caller, connection, found, gathered), after, limit, mark)
        counted = found if comparison is None else comparison.counted
        asked = gathered.questions([counted], of)
        if comparison is None:
            return _page(gathered, asked, after, limit, mark, caller)
        most = min(limit, comparing.MOST)
        chosen = _following(asked, after, most + 1)
        items = await comparing.items(caller, connection, comparison, gathered, chosen[:most])
    return page(items, cursors.encode(mark, _place(chosen[most - 1])) if len(chosen) > most else None)


def _reach(metric: Metric, comparison: Comparison | None) -> timedelta | None:
    """Return how much earlier days the answer rests on; None: on all there are."""
    if metric is LEVEL:
        return judged.REACH
    if comparison is not None:
        return comparing.REACH.get(comparison.baseline)
    return None if metric in LEVELS else timedelta()


def _listed(rows: list[dict[str, Any]], after: Place | None, limit: int, mark: str) -> Response:
    """Return one page of ``rows``, which stand in the order of their windows."""
    following = [row for row in rows if after is None or row["window"].start.isoformat() > after.start]
    shown = following[:limit]
    more = Place(shown[-1]["metric"], "", shown[-1]["window"].start.isoformat()) if len(following) > limit else None
    return page(shown, None if more is None else cursors.encode(mark, more))


def known(identity: str) -> Metric:
    """Return the metric with an id.

    Raises:
        ProblemError: there is none.
    """
    found = METRICS.get(identity) or next((level for level in LEVELS if level.id == identity), None)
    if found is None:
        raise not_found()
    return found


def parameter_of(metric: Metric, named: dict[str, str | None]) -> str | None:
    """Return what the metric is asked for; None: all there is."""
    wanted = metric.parameter
    for name, value in named.items():
        if value is not None and (wanted is None or wanted.name != name):
            raise invalid(f"{metric.id} is not asked for by '{name}'.", parameter=name)
    value = None if wanted is None else named.get(wanted.name)
    if wanted is not None and wanted.allowed is not None and value is not None and value not in wanted.allowed:
        raise invalid(f"{metric.id} is offered for {', '.join(wanted.allowed)}.", parameter=wanted.name)
    return value


def _one_of(as_of: datetime | None, attribution: str, metric: Metric) -> None:
    if as_of is not None and (attribution == "as_is" or metric in LEVELS):
        raise invalid(
            "What was known then is told of the groups as they were then, metric by metric.", parameter="as_of"
        )
