"""*Data quality*: can the records be relied on, and can what we say of them."""

from typing import Any, Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.board import (
    HEALTHY_WHEN_ZERO,
    PLAIN,
    SHARE,
    TENANT,
    Steps,
    bars,
    board,
    curve,
    filled,
    number,
    rows,
)
from deploy.grafana.golive import NONE_OPEN, NOW
from deploy.grafana.links import LETTERS, METRICS, RECORDS, RUNBOOKS, linked

COMPLETE: Final[Steps] = ((None, "red"), (0.7, "orange"), (0.8, "green"))
PLACEHOLDERS: Final[Steps] = ((None, "green"), (0.1, "orange"), (0.15, "red"))
A_DAY: Final[Steps] = ((None, "green"), (86_400, "orange"), (259_200, "red"))
TENANTS: Final = 'tenant="$tenant"'
OF_ALL: Final = 'tenant="$tenant", dimension="tenant", week="last"'
OF_TEAMS: Final = 'tenant="$tenant", dimension="team", week="last"'
COMPLETE_FIELDS: Final = 'metric="dq.valid_completeness"'
EMPTY_FIELDS: Final = 'metric="dq.placeholder_rate"'
EVENTS: Final = 'sum by (outcome) (uptake_tenant_events_total{tenant="$tenant", outcome=~"%s"})'


def _now() -> tuple[Any, ...]:
    """Return the numbers of now."""
    return (
        linked(
            number(
                "So complete were the fields that decisions need",
                "Of the fields that are due on open records, the share with a real value; last full week.",
                (f"max(uptake_metric_ratio{{{OF_ALL}, {COMPLETE_FIELDS}}})", "complete"),
                unit=SHARE,
                steps=COMPLETE,
            ),
            RECORDS,
        ),
        linked(
            number(
                "So many filled fields say nothing",
                "Placeholders and untouched defaults among the filled fields. Over 15 %: completeness is a facade.",
                (f"max(uptake_metric_ratio{{{OF_ALL}, {EMPTY_FIELDS}}})", "placeholders"),
                unit=SHARE,
                steps=PLACEHOLDERS,
            ),
            RECORDS,
        ),
        linked(
            number(
                "So many deliveries could not be used",
                "Open dead letters: kept, sealed, and waiting to be replayed.",
                (f"sum(uptake_dead_letters_open{{{TENANTS}}}) or {NONE_OPEN}", "dead letters"),
                unit="none",
                steps=HEALTHY_WHEN_ZERO,
            ),
            LETTERS,
        ),
        linked(
            number(
                "So many sources are silent that usually send",
                "While one is silent, nobody is judged for being absent.",
                (f"sum(max by (source) (uptake_source_silent{{{TENANTS}}}))", "silent"),
                unit="none",
                steps=HEALTHY_WHEN_ZERO,
            ),
            RUNBOOKS,
        ),
    )


def _records() -> tuple[Any, ...]:
    """Return the records."""
    return (
        linked(
            bars(
                "So good were the records in the last full week",
                "Every measure that is known. Of placeholders, stale dates and duplicates, less is better.",
                (f'max by (metric) (uptake_metric_ratio{{{OF_ALL}, metric=~"dq[.].+"}})', "{{metric}}"),
                unit=SHARE,
                steps=PLAIN,
            ),
            METRICS,
        ),
        linked(
            bars(
                "So complete were the records of each team",
                "Fields that are due, with a real value, by the team of the record's owner.",
                (f"max by (key) (uptake_metric_ratio{{{OF_TEAMS}, {COMPLETE_FIELDS}}})", "{{key}}"),
                unit=SHARE,
                steps=COMPLETE,
            ),
            RECORDS,
        ),
        linked(
            rows(
                "These values are not known, and this is why",
                "In how many groups a metric has no value. Unknown is never counted as zero.",
                (f"max by (metric, reason) (uptake_metric_unknown{{{TENANTS}}})", "{{metric}}"),
            ),
            METRICS,
        ),
    )


def _events() -> tuple[Any, ...]:
    """Return what comes in."""
    return (
        linked(
            bars(
                "Dead letters wait from these sources",
                "Open ones by the source that sent them; log: records that lay on the log.",
                (f"max by (source) (uptake_dead_letters_open{{{TENANTS}}})", "{{source}}"),
                unit="none",
                steps=HEALTHY_WHEN_ZERO,
            ),
            LETTERS,
        ),
        curve(
            "Events that came twice, late, or of nobody we know",
            "Since the beginning. Unmapped: the directory does not know the person; they count once it does.",
            (EVENTS % "duplicates|conflicts|late|unmapped", "{{outcome}}"),
            unit="none",
        ),
        bars(
            "So long ago each source was last heard of",
            "By the tenant's clock, since the newest event of the source.",
            (f"{NOW} - max by (source) (uptake_source_last_event_timestamp_seconds{{{TENANTS}}})", "{{source}}"),
            unit="s",
            steps=A_DAY,
        ),
    )


def quality() -> Dashboard:
    """Return the dashboard."""
    return filled(
        board(
            "uptake-data-quality",
            "Uptake: Data quality",
            "Whether the records hold what decisions need, and what Uptake could not make sense of.",
            TENANT,
            since="30d",
        ),
        *_now(),
        *_records(),
        *_events(),
    )
