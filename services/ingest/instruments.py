"""What ingest measures of itself. Label children are looked up once: on the hot path only ``inc`` remains."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from services.ingest.spool_file import Measure

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
        self._spool_damaged = Counter(
            "uptake_ingest_spool_damaged", "Files of the spool that were damaged and put aside.", registry=self.registry
        )
        self._spool_lost = Counter(
            "uptake_ingest_spool_lost", "Entries of damaged files that could not be read.", registry=self.registry
        )
        self._hooks: dict[tuple[str, int], Counter] = {}
        self._answered = {code: self._requests.labels(_SOURCE, str(code)) for code in (202, 422)}

    def answered(self, code: int) -> None:
        """Count a request to the events intake that was answered with ``code``."""
        child = self._answered.get(code)
        if child is None:
            child = self._answered[code] = self._requests.labels(_SOURCE, str(code))
        child.inc()

    def hook_answered(self, source: str, code: int) -> None:
        """Count a delivery of ``source`` (empty: of none that is known) that was answered with ``code``."""
        child = self._hooks.get((source, code))
        if child is None:
            child = self._hooks[source, code] = self._requests.labels(source or "unknown", str(code))
        child.inc()

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

    def watch_spool(self, measure: Callable[[], Measure], most: int, now: Callable[[], datetime]) -> None:
        """Show how much is in the spool, of ``most`` bytes, and for how long."""

        def age() -> float:
            oldest = measure().oldest_ms
            return 0.0 if oldest is None else max(0.0, now().timestamp() - oldest / 1000)

        for name, help_, value in (
            ("events", "Events and dead letters that wait in the spool.", lambda: measure().events),
            ("bytes", "Bytes that wait in the spool.", lambda: measure().bytes),
            ("limit_bytes", "Bytes that the spool holds at most.", lambda: float(most)),
            ("oldest_seconds", "How long the oldest in the spool has waited; 0: nothing is in it.", age),
        ):
            Gauge(f"uptake_ingest_spool_{name}", help_, registry=self.registry).set_function(value)

    def spool_damaged(self, files: int, lost: int) -> None:
        """Count damaged files of the spool, and entries that are seen to be lost with them."""
        self._spool_damaged.inc(files)
        self._spool_lost.inc(lost)
