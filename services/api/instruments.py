"""What the API measures of itself: requests by route and status, how long they took, and how fresh what it shows is."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from services.fading import Fading

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments of one process; labels are bounded by the routes."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    running: Gauge
    adoption_read: Fading
    evaluation_behind: Fading


def make() -> Instruments:
    """Return fresh instruments in a registry of their own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return Instruments(
        registry,
        Counter("uptake_api_requests", "Requests answered.", ["method", "route", "code"], registry=registry),
        Histogram("uptake_api_request_seconds", "Seconds to answer.", ["route"], buckets=BUCKETS, registry=registry),
        Gauge("uptake_api_requests_running", "Requests being answered.", registry=registry),
        Fading(
            "uptake_adoption_read_timestamp_seconds", "When adoption was read last, by its owner.", registry=registry
        ),
        Fading(
            "uptake_evaluation_behind_seconds",
            "For how long the rules have not seen what was counted, of the tenant that waits longest.",
            registry=registry,
        ),
    )
