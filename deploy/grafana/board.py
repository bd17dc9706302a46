"""The words that dashboards are written in: what a panel says, asks, and looks like.

A title is a sentence; every panel has a unit, every query the data source and the tenant that the reader chose.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Query: TypeAlias = tuple[str, str]
"""What is asked, and what the answer is called: labels in double braces."""
Steps: TypeAlias = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first has no value."""

SHARE: Final = "percentunit"
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
PLAIN: Final[Steps] = ((None, "blue"),)
HEALTHY_WHEN_ZERO: Final[Steps] = ((None, "green"), (1, "red"))
CONNECTED: Final[Steps] = ((None, "red"), (0.7, "orange"), (0.8, "yellow"), (0.9, "green"))


def board(uid: str, title: str, sentence: str, *variables: dashboard.QueryVariable, since: str) -> dashboard.Dashboard:
    """Return an empty dashboard; ``since``: the time that it opens with."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(sentence)
        .tags(["uptake"])
        .readonly()
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time(f"now-{since}", "now")
        .refresh("30s")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for variable in variables:
        made = made.with_variable(variable)
    made = made.with_variable(_told("api", "API at", "http://127.0.0.1:8080"))
    made = made.with_variable(_told("guides", "Guides at", "/public/guides"))
    others = dashboard.DashboardLink("Uptake").type(models.DashboardLinkType.DASHBOARDS).tags(["uptake"])
    return made.link(others.as_dropdown(as_dropdown=True).include_vars(include_vars=True).keep_time(keep_time=True))


def filled(made: dashboard.Dashboard, *panels: Any) -> dashboard.Dashboard:  # noqa: ANN401 - as below
    """Return the dashboard with ``panels``, one beside the other."""
    for panel in panels:
        made = made.with_panel(panel)
    return made


def _told(name: str, label: str, default: str) -> dashboard.TextBoxVariable:
    """Return a variable that whoever sets Grafana up fills in."""
    return dashboard.TextBoxVariable(name).label(label).default_value(default)


def chosen(name: str, label: str, asked: str, *, several: bool = False) -> dashboard.QueryVariable:
    """Return a variable whose values Prometheus knows: ``label_values(family, label)``."""
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .query(asked)
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    return made.all_value(".+").current(models.VariableOption(text="All", value="$__all")) if several else made


TENANT: Final = chosen("tenant", "Tenant", "label_values(uptake_tenant_now_timestamp_seconds, tenant)")


def number(title: str, sentence: str, *queries: Query, unit: str, steps: Steps, wide: int = 6) -> stat.Panel:
    """Return a panel of large numbers, as they are now."""
    made = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    made = made.color_mode(looks.BigValueColorMode.BACKGROUND_SOLID).graph_mode(looks.BigValueGraphMode.NONE)
    return _said(made, title, sentence, queries, unit, steps, wide, 5, now=True)


def bars(title: str, sentence: str, *queries: Query, unit: str, steps: Steps, wide: int = 12) -> bargauge.Panel:
    """Return a panel of bars, as they are now."""
    made = bargauge.Panel().orientation(looks.VizOrientation.HORIZONTAL)
    made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return _said(made, title, sentence, queries, unit, steps, wide, 9, now=True)


def curve(
    title: str, sentence: str, *queries: Query, unit: str, steps: Steps = PLAIN, wide: int = 12
) -> timeseries.Panel:
    """Return a panel of values over time; ``steps`` are drawn as lines where there is more than one."""
    made = timeseries.Panel().fill_opacity(8).line_width(2).span_nulls(span_nulls=False)
    made = made.legend(
        common.VizLegendOptions().show_legend(show_legend=True).placement(looks.LegendPlacement.BOTTOM).calcs([])
    )
    if len(steps) > 1:
        made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    return _said(made, title, sentence, queries, unit, steps, wide, 9, now=False)


def rows(title: str, sentence: str, *queries: Query, unit: str = "none", wide: int = 12) -> table.Panel:
    """Return a table of what is there now, one row for each series."""
    made = _said(table.Panel(), title, sentence, queries, unit, PLAIN, wide, 9, now=True, as_table=True)
    hidden = dict.fromkeys(("Time", "__name__", "instance", "job", "tenant"), True)
    return made.with_transformation(models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden}))


def _said(
    panel: Any,  # noqa: ANN401 - the builders of panels have no common type
    title: str,
    sentence: str,
    queries: Sequence[Query],
    unit: str,
    steps: Steps,
    wide: int,
    high: int,
    *,
    now: bool,
    as_table: bool = False,
) -> Any:  # noqa: ANN401
    thresholds = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE)
    thresholds = thresholds.steps([models.Threshold(value=value, color=colour) for value, colour in steps])
    panel = panel.title(title).description(sentence).datasource(SOURCE).unit(unit).thresholds(thresholds)
    if len(steps) > 1 and now:
        panel = panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    if unit == SHARE:
        panel = panel.min(0).max(1).decimals(0)
    for place, (asked, called) in enumerate(queries):
        query = prometheus.Dataquery().expr(asked).legend_format(called).ref_id(chr(ord("A") + place))
        query = query.instant() if now else query.range()
        if as_table:
            query = query.format(PromQueryFormat.TABLE)
        panel = panel.with_target(query)
    return panel.no_value("not known").span(wide).height(high)
