"""What the API measures of itself: requests by route and status, and how long they took."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments of one process; labels are bounded by the routes."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    running: Gauge


def make() -> Instruments:
    """Return fresh instruments in a registry of their own."""
    registry = CollectorRegistry()
    return Instruments(
        registry,
        Counter("uptake_api_requests", "Requests answered.", ["method", "route", "code"], registry=registry),
        Histogram("uptake_api_request_seconds", "Seconds to answer.", ["route"], buckets=BUCKETS, registry=registry),
        Gauge("uptake_api_requests_running", "Requests being answered.", registry=registry),
    )
