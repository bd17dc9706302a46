"""The notifier's Prometheus instruments, defined once."""

from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from schemas.subscriptions import KINDS
from services.notifier.domain.shape import OutcomeKind
from services.notifier.store.deliveries import Backlog

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)


class Instruments:
    """What a notifier tells of itself. Labels are bounded: kinds and outcomes, never a person or a receiver."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.deliveries = Counter(
            "uptake_deliveries",
            "Attempts to deliver, by kind of subscription and what became of them.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        for kind, outcome in product(KINDS, get_args(OutcomeKind)):
            self.deliveries.labels(kind, outcome)
        self.seconds = Histogram(
            "uptake_delivery_seconds",
            "Time of one attempt to deliver.",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "uptake_deliveries_waiting", "Messages not delivered yet.", ["kind"], registry=self.registry
        )
        self.oldest = Gauge(
            "uptake_deliveries_overdue_seconds",
            "For how long the message that waits longest has been due.",
            ["kind"],
            registry=self.registry,
        )
        self.published = Counter(
            "uptake_alert_changes_published", "Changes of alerts put on Kafka.", registry=self.registry
        )

    def tell(self, backlog: Sequence[Backlog], now: datetime) -> None:
        """Show what waits at ``now``."""
        self.waiting.clear()
        self.oldest.clear()
        for kind, number, oldest in backlog:
            self.waiting.labels(kind).set(number)
            self.oldest.labels(kind).set(max((now - oldest).total_seconds(), 0.0))
