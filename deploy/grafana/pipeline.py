"""*Pipeline health*: is everything that is sent taken, counted, judged and told, and how soon."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.board import Query, Steps, bars, board, curve, number, rows
from deploy.grafana.links import LETTERS, RUNBOOKS, linked

OURS: Final = '{job=~"uptake-(ingest|aggregator|api|notifier)"}'
SLOW: Final = "histogram_quantile(0.95, sum by (route, le) (rate(uptake_api_request_seconds_bucket[5m])))"
UP: Final[Steps] = ((None, "red"), (1, "green"))
FRESH: Final[Steps] = ((None, "green"), (10, "orange"), (60, "red"))
LATE: Final[Steps] = ((None, "green"), (60, "orange"), (300, "red"))
WAITS: Final[Steps] = ((None, "green"), (1_000, "orange"), (10_000, "red"))


def _percentiles(histogram: str) -> tuple[Query, Query]:
    asked = f"histogram_quantile(%s, sum by (le) (rate({histogram}_bucket[5m])))"
    return (asked % "0.5", "half of them"), (asked % "0.99", "99 of 100")


def _numbers(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            linked(
                number(
                    "These processes answer",
                    "How many of each service Prometheus reaches.",
                    ('sum by (job) (up{job=~"uptake-.+"})', "{{job}}"),
                    unit="none",
                    steps=UP,
                    wide=10,
                ),
                RUNBOOKS,
            )
        )
        .with_panel(
            linked(
                number(
                    "So many records wait to be counted",
                    "Records on the log behind the positions of the aggregators, over all partitions.",
                    ("uptake:aggregator_lag_records:sum", "lag"),
                    unit="none",
                    steps=WAITS,
                    wide=4,
                ),
                RUNBOOKS,
            )
        )
        .with_panel(
            linked(
                number(
                    "So old is an event when it is seen",
                    "From its arrival to its visibility in the windows, 95 of 100 batches.",
                    ("uptake:freshness_seconds:p95_5m", "95 of 100"),
                    unit="s",
                    steps=FRESH,
                    wide=5,
                ),
                RUNBOOKS,
            )
        )
        .with_panel(
            linked(
                number(
                    "So long the rules have not looked",
                    "For how long something was counted that no rule has seen, of the tenant that waits longest.",
                    ("max(uptake_evaluation_behind_seconds)", "longest"),
                    unit="s",
                    steps=LATE,
                    wide=5,
                ),
                RUNBOOKS,
            )
        )
    )


def _intake(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            curve(
                "Events come in, and are taken",
                "Events a second, by what became of them. Rejected: the sender must mend them. Failed: sent again.",
                ("uptake:ingest_events:rate5m", "{{outcome}}"),
                unit="eps",
            )
        )
        .with_panel(
            curve(
                "Senders get these answers",
                "Requests a second by status. 429 and 503 are asked for again by senders that repeat.",
                ("sum by (code) (uptake:ingest_requests:rate5m)", "{{code}}"),
                unit="reqps",
            )
        )
        .with_panel(
            curve(
                "The log acknowledges within milliseconds",
                "From the first event of an append until all in-sync replicas have it.",
                *_percentiles("uptake_ingest_publish_seconds"),
                unit="s",
                steps=((None, "green"), (1, "red")),
            )
        )
        .with_panel(
            linked(
                curve(
                    "What the log did not take waits on disk",
                    "Deliveries of senders that never repeat, and for how long the oldest of them has waited.",
                    ("sum(uptake_ingest_spool_events)", "deliveries"),
                    ("max(uptake_ingest_spool_oldest_seconds)", "seconds of the oldest"),
                    unit="none",
                ),
                RUNBOOKS,
            )
        )
    )


def _counting(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            linked(
                curve(
                    "What waits on the log is worked off",
                    "Records behind the position of each partition's owner.",
                    ("max by (partition) (uptake_aggregator_lag_records)", "partition {{partition}}"),
                    unit="none",
                ),
                RUNBOOKS,
            )
        )
        .with_panel(
            curve(
                "An event is seen soon after it arrived",
                "Of the oldest event of each batch. An exemplar names one event, and its trace where there is one.",
                *_percentiles("uptake_freshness_seconds"),
                unit="s",
                steps=FRESH,
            )
        )
        .with_panel(
            linked(
                curve(
                    "Events become facts",
                    "Events a second by what became of them. A dead letter is a record that could not be read.",
                    ("sum by (outcome) (rate(uptake_aggregator_events_total[5m]))", "{{outcome}}"),
                    unit="eps",
                ),
                LETTERS,
            )
        )
        .with_panel(
            curve(
                "Batches, rules and measures take this long",
                "95 of 100 batches to their commit, evaluations of a tenant, and passes of the measurer.",
                *(
                    (f"histogram_quantile(0.95, sum by (le) (rate({histogram}_bucket[5m])))", called)
                    for histogram, called in (
                        ("uptake_aggregator_batch_seconds", "a batch"),
                        ("uptake_evaluation_seconds", "the rules of a tenant"),
                        ("uptake_measure_seconds", "the measures of a tenant"),
                    )
                ),
                unit="s",
            )
        )
    )


def _telling(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            curve(
                "Alerts reach those who are to hear of them",
                "Attempts a second by the way they went and what became of them.",
                ("uptake:deliveries:rate5m", "{{kind}}: {{outcome}}"),
                unit="cps",
            )
        )
        .with_panel(
            linked(
                bars(
                    "These deliveries are overdue",
                    "For how long the message that waits longest has been due, by the way it goes.",
                    ("max by (kind) (uptake_deliveries_overdue_seconds)", "{{kind}}"),
                    unit="s",
                    steps=LATE,
                ),
                RUNBOOKS,
            )
        )
        .with_panel(
            curve(
                "The API answers soon",
                "95 of 100 requests, by route; the ten slowest routes.",
                (f"topk(10, {SLOW})", "{{route}}"),
                unit="s",
            )
        )
        .with_panel(
            rows(
                "The house is kept in order",
                "How often erasures, backfills and retention were done, and how often that failed.",
                ("sum by (work, outcome) (uptake_keeper_rounds_total)", "{{work}}"),
            )
        )
        .with_panel(
            curve(
                "Each process needs so much memory",
                "Resident memory.",
                (
                    f"process_resident_memory_bytes{OURS}",
                    "{{job}} {{instance}}",
                ),
                unit="bytes",
            )
        )
        .with_panel(
            curve(
                "Each process needs so much of a core",
                "Seconds of CPU a second.",
                (
                    f"rate(process_cpu_seconds_total{OURS}[5m])",
                    "{{job}} {{instance}}",
                ),
                unit="percentunit",
            )
        )
    )


def pipeline() -> Dashboard:
    """Return the dashboard."""
    made = board(
        "uptake-pipeline",
        "Uptake: Pipeline health",
        "Whether everything that is sent is taken, counted, judged and told, and how soon.",
        since="6h",
    )
    return _telling(_counting(_intake(_numbers(made))))
