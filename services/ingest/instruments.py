"""What ingest measures of itself. Label children are looked up once: on the hot path only ``inc`` remains."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SOURCE: Final = "events"


class Instruments:
    """The instruments of one ingest process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "uptake_ingest_requests",
            "Requests answered, by intake and status.",
            ["source", "code"],
            registry=self.registry,
        )
        events = Counter("uptake_ingest_events", "Events, by what became of them.", ["outcome"], registry=self.registry)
        self._accepted, self._rejected, self._failed = (
            events.labels(outcome) for outcome in ("accepted", "rejected", "failed")
        )
        self.publish_seconds = Histogram(
            "uptake_ingest_publish_seconds",
            "From the first event of an append until the log acknowledged it.",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.pending_bytes = Gauge(
            "uptake_ingest_pending_bytes", "Bytes that wait for the log's acknowledgement.", registry=self.registry
        )
        self._answered = {code: self._requests.labels(_SOURCE, str(code)) for code in (202, 422)}

    def answered(self, code: int) -> None:
        """Count a request to the events intake that was answered with ``code``."""
        child = self._answered.get(code)
        if child is None:
            child = self._answered[code] = self._requests.labels(_SOURCE, str(code))
        child.inc()

    def hook_answered(self, source: str, code: int) -> None:
        """Count a delivery of ``source`` (empty: of none that is known) that was answered with ``code``."""
        self._requests.labels(source or "unknown", str(code)).inc()

    def refused(self, code: int) -> None:
        """Count a connection that was refused before its request was whole."""
        self._requests.labels("connection", str(code)).inc()

    def judged(self, *, accepted: int, rejected: int) -> None:
        """Count events that are on the log, and events that were rejected."""
        if accepted:
            self._accepted.inc(accepted)
        if rejected:
            self._rejected.inc(rejected)

    def failed(self, events: int) -> None:
        """Count events whose append the log did not acknowledge in time."""
        self._failed.inc(events)
