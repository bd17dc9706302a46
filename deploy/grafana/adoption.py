"""*Adoption*: how many work with the CRM, how far each team and role came, and who fell back."""

from typing import Any, Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.board import (
    CONNECTED,
    HEALTHY_WHEN_ZERO,
    PLAIN,
    SHARE,
    TENANT,
    bars,
    board,
    chosen,
    curve,
    filled,
    number,
    rows,
)
from deploy.grafana.golive import NONE_OPEN
from deploy.grafana.links import ALERTS, GUIDE, METRICS, linked

DIMENSION: Final = chosen(
    "dimension", "Groups", 'label_values(uptake_adoption_licensed{tenant="$tenant", dimension!="tenant"}, dimension)'
)
KEY: Final = chosen(
    "key",
    "Group",
    'label_values(uptake_adoption_licensed{tenant="$tenant", dimension="$dimension"}, key)',
    several=True,
)
WINDOW: Final = chosen("window", "Window", 'label_values(uptake_adoption_active{tenant="$tenant"}, window)')
ALL: Final = 'tenant="$tenant", dimension="tenant", key="all"'
GROUPS: Final = 'tenant="$tenant", dimension="$dimension", key=~"$key"'
LEVELS: Final = ((None, "red"), (1, "orange"), (2, "yellow"), (3, "green"))
FELL: Final = ((None, "red"), (-10, "orange"), (0, "green"))
DROPS: Final = 'rule=~"adoption-.+"'
RATE: Final = 'max by (key) (uptake_adoption_rate_ratio{%s, window="$window"})'
OF_WEEK: Final = 'max by (%s) (uptake_metric_ratio{%s, week="%s"})'
DAILY: Final = GROUPS + ', metric="adoption.daily_rate"'


def _now() -> tuple[Any, ...]:
    """Return the numbers of now."""
    return (
        number(
            "So many of the licensed people were active in the window",
            "People with at least one event in the window that ends today, to people with a licence today.",
            (RATE % ALL, "active"),
            unit=SHARE,
            steps=CONNECTED,
        ),
        number(
            "So many people have a licence today",
            "Of the whole tenant.",
            (f"max(uptake_adoption_licensed{{{ALL}}})", "licensed"),
            unit="none",
            steps=PLAIN,
        ),
        number(
            "So many logged in, and so many were active",
            "Whoever works on a phone stays logged in: being active counts, not logging in.",
            (f'max(uptake_adoption_logged_in{{{ALL}, window="$window"}})', "logged in"),
            (f'max(uptake_adoption_active{{{ALL}, window="$window"}})', "active"),
            unit="none",
            steps=PLAIN,
        ),
        linked(
            number(
                "So many alerts about falling adoption are open",
                "Suspected and confirmed ones; an acknowledged or snoozed one is not among them.",
                (f'sum(uptake_alerts_open{{tenant="$tenant", {DROPS}}}) or {NONE_OPEN}', "alerts"),
                unit="none",
                steps=HEALTHY_WHEN_ZERO,
            ),
            ALERTS,
            GUIDE,
        ),
    )


def _groups() -> tuple[Any, ...]:
    """Return the groups."""
    return (
        curve(
            "The share of active people, group by group",
            "Active to licensed people in the chosen window. A group that is too small to be told of is not drawn.",
            (RATE % GROUPS, "{{key}}"),
            unit=SHARE,
            wide=24,
        ),
        bars(
            "So far had each group come in the last full week",
            "1 they come, 2 they work in it, 3 their data can be relied on, 4 it pays; each needs all below it.",
            (f"max by (key) (uptake_adoption_level{{{GROUPS}}})", "{{key}}"),
            unit="none",
            steps=LEVELS,
        ),
        linked(
            rows(
                "This is what was found of each group",
                "The verdict on the last full week, in the phase of the rollout that the group is in.",
                (f"max by (key, phase, verdict) (uptake_adoption_verdict{{{GROUPS}}})", "{{key}}"),
            ),
            METRICS,
        ),
    )


def _week() -> tuple[Any, ...]:
    """Return the last full week."""
    return (
        linked(
            bars(
                "These groups rose or fell against the week before",
                "Daily active people of those expected, in points: the last full week against the one before.",
                (f"100 * ({OF_WEEK % ('key', DAILY, 'last')} - {OF_WEEK % ('key', DAILY, 'before')})", "{{key}}"),
                unit="percent",
                steps=FELL,
            ),
            METRICS,
        ),
        linked(
            bars(
                "These are the tenant's metrics of the last full week",
                "Shares only; a metric that is not known is not drawn, and Data quality says why.",
                (OF_WEEK % ("metric", ALL, "last"), "{{metric}}"),
                unit=SHARE,
                steps=PLAIN,
            ),
            METRICS,
        ),
    )


def adoption() -> Dashboard:
    """Return the dashboard."""
    return filled(
        board(
            "uptake-adoption",
            "Uptake: Adoption",
            "How many of the licensed people work with the CRM, by team and role, and who fell back.",
            TENANT,
            DIMENSION,
            KEY,
            WINDOW,
            since="30d",
        ),
        *_now(),
        *_groups(),
        *_week(),
    )
