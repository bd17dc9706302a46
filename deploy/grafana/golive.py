"""*Go-live room*: who has come, of which wave, against what was aimed at; for the screen on the wall of week 0."""

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
from deploy.grafana.links import ALERTS, GUIDE, linked

WAVE: Final = chosen("wave", "Wave", 'label_values(uptake_wave_people{tenant="$tenant"}, wave)', several=True)
OF_WAVE: Final = '{tenant="$tenant", wave=~"$wave"}'
NOW: Final = 'scalar(max(uptake_tenant_now_timestamp_seconds{tenant="$tenant"}))'
NONE_OPEN: Final = '0 * max(uptake_tenant_now_timestamp_seconds{tenant="$tenant"})'
"""No open alert is a zero as long as the tenant is read at all."""
POINTS: Final = "percent"
MISSED: Final = ((None, "red"), (0, "green"))
CAME: Final = f"max by (wave) (uptake_wave_connected_people{OF_WAVE})"
PEOPLE: Final = f"max by (wave) (uptake_wave_people{OF_WAVE})"
REACHED: Final = 'max by (wave, n) (uptake_wave_connected_ratio{tenant="$tenant", wave=~"$wave", n=~"1|3|5"})'


def _now() -> tuple[Any, ...]:
    """Return the numbers of now."""
    return (
        number(
            "So many of each wave have connected until now",
            "People of the wave's cohort with a qualifying event, to all people of the cohort.",
            (f"{CAME} / {PEOPLE}", "{{wave}}"),
            unit=SHARE,
            steps=CONNECTED,
            wide=8,
        ),
        linked(
            number(
                "So many people are still missing",
                "People of the cohort who have not connected. Who they are, the API tells those who may know.",
                (f"{PEOPLE} - {CAME}", "{{wave}}"),
                unit="none",
                steps=HEALTHY_WHEN_ZERO,
                wide=8,
            ),
            GUIDE,
        ),
        linked(
            number(
                "So many emergencies are open",
                "Open alerts of the severity emergency.",
                (
                    f'sum(uptake_alerts_open{{tenant="$tenant", severity="emergency"}}) or {NONE_OPEN}',
                    "emergencies",
                ),
                unit="none",
                steps=HEALTHY_WHEN_ZERO,
                wide=4,
            ),
            ALERTS,
        ),
        number(
            "Since their go-live so many days have passed",
            "Days on the tenant's clock; negative: the wave has yet to go live.",
            (f"({NOW} - max by (wave) (uptake_wave_go_live_timestamp_seconds{OF_WAVE})) / 86400", "{{wave}}"),
            unit="d",
            steps=PLAIN,
            wide=4,
        ),
    )


def _way() -> tuple[Any, ...]:
    """Return the way there."""
    return (
        curve(
            "Hour by hour, every wave climbs towards its targets",
            "Connected people to the cohort. The lines are the targets of D+3 (70 %), D+1 (80 %) and D+5 (90 %).",
            (f"{CAME} / {PEOPLE}", "{{wave}}"),
            unit=SHARE,
            steps=CONNECTED,
            wide=24,
        ),
        bars(
            "On the days that count, each wave had come this far",
            "Connected by the end of D+1, D+3 and D+5, once that day is over.",
            (REACHED, "{{wave}}: D+{{n}}"),
            unit=SHARE,
            steps=CONNECTED,
        ),
        bars(
            "Each wave was so far above or below its target",
            "The same against the target of the day: 80 % by D+1, 70 % by D+3, 90 % by D+5.",
            (f"100 * ({REACHED} - on (n) group_left () uptake:wave_target:ratio)", "{{wave}}: D+{{n}}"),
            unit=POINTS,
            steps=MISSED,
        ),
    )


def _beside() -> tuple[Any, ...]:
    """Return what happens beside."""
    return (
        linked(
            rows(
                "These alerts are open",
                "Open alerts by rule and severity. An acknowledged or snoozed one is not among them.",
                ('sum by (rule, severity) (uptake_alerts_open{tenant="$tenant"})', "{{rule}}"),
            ),
            ALERTS,
        ),
        curve(
            "The CRM tells us of its users all the time",
            "Events a second that were counted. A flat line at zero in working hours: see Pipeline health.",
            (
                'sum by (outcome) (rate(uptake_tenant_events_total{tenant="$tenant", outcome="folded"}[5m]))',
                "counted",
            ),
            unit="eps",
        ),
    )


def golive() -> Dashboard:
    """Return the dashboard."""
    return filled(
        board(
            "uptake-go-live",
            "Uptake: Go-live room",
            "Who has come since the go-live, wave by wave, and which emergencies are open.",
            TENANT,
            WAVE,
            since="7d",
        ),
        *_now(),
        *_way(),
        *_beside(),
    )
