"""The aggregator's Prometheus instruments, defined once."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from services.fading import Fading

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Instruments:
    """What an aggregator tells of itself. Labels are bounded: partitions and outcomes, never a person."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.lag = Gauge(
            "uptake_aggregator_lag_records",
            "Records on the log that are not folded yet.",
            ["partition"],
            registry=self.registry,
        )
        self.events = Counter(
            "uptake_aggregator_events", "Events by what became of them.", ["outcome"], registry=self.registry
        )
        self.batch_seconds = Histogram(
            "uptake_aggregator_batch_seconds",
            "Time from a batch of records to its commit.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.freshness = Histogram(
            "uptake_freshness_seconds",
            "Time from an event's arrival to its visibility in the windows, of the oldest event of each batch.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.evaluation_seconds = Histogram(
            "uptake_evaluation_seconds",
            "Time to evaluate the rules of one tenant.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.measure_seconds = Histogram(
            "uptake_measure_seconds",
            "Time to measure what was queued of one tenant.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.measure_dirty = Fading(
            "uptake_measure_dirty", "Changes that wait for this measurer.", registry=self.registry
        )
        self.measure_dirty_seconds = Fading(
            "uptake_measure_dirty_seconds", "For how long the oldest of them waits.", registry=self.registry
        )
        self.keeping = Counter(
            "uptake_keeper_rounds",
            "Times that something was to be kept in order, and whether that went well.",
            ["work", "outcome"],
            registry=self.registry,
        )
        self.gaps = Counter(
            "uptake_aggregator_gaps", "Times a log did not go on where it was left.", ["reason"], registry=self.registry
        )
        self.fenced = Counter(
            "uptake_aggregator_fenced",
            "Batches refused because another process owns the shard.",
            registry=self.registry,
        )
        for outcome in ("folded", "duplicate", "conflict", "late", "unmapped", "dead_letter"):
            self.events.labels(outcome)

    def kept(self, work: str, well: bool) -> None:  # noqa: FBT001 - the outcome
        """Count a time that ``work`` was done, or failed."""
        self.keeping.labels(work, "done" if well else "failed").inc()
