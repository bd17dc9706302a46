"""What Prometheus is shown of adoption: each family with its sentence and its labels. Never a person as a label.

A family without a sample is absent, and so is a sample that is hidden or not known: neither is ever a zero.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric

Samples: TypeAlias = Mapping[str, list[tuple[tuple[str, ...], float]]]
"""By family: labels and value."""

LICENSED: Final = "uptake_adoption_licensed"
ACTIVE: Final = "uptake_adoption_active"
LOGGED_IN: Final = "uptake_adoption_logged_in"
RATE: Final = "uptake_adoption_rate_ratio"
TRUNCATED: Final = "uptake_adoption_truncated"
LEVEL: Final = "uptake_adoption_level"
VERDICT: Final = "uptake_adoption_verdict"
METRIC: Final = "uptake_metric_ratio"
UNKNOWN: Final = "uptake_metric_unknown"
WAVE_RATIO: Final = "uptake_wave_connected_ratio"
WAVE_PEOPLE: Final = "uptake_wave_people"
WAVE_CONNECTED: Final = "uptake_wave_connected_people"
WAVE_STARTS: Final = "uptake_wave_go_live_timestamp_seconds"
ALERTS: Final = "uptake_alerts_open"
ANNOTATION: Final = "uptake_annotation_timestamp_seconds"
EVENTS: Final = "uptake_tenant_events"
LETTERS: Final = "uptake_dead_letters_open"
SOURCE_SEEN: Final = "uptake_source_last_event_timestamp_seconds"
SOURCE_SILENT: Final = "uptake_source_silent"
NOW: Final = "uptake_tenant_now_timestamp_seconds"

_GROUP: Final = ("tenant", "dimension", "key")
_WINDOW: Final = (*_GROUP, "window")


class Family(NamedTuple):
    """What a family says, and by which labels."""

    sentence: str
    labels: tuple[str, ...]
    counts: bool = False
    """Whether it only grows."""


FAMILIES: Final[Mapping[str, Family]] = {
    LICENSED: Family("People with a licence today.", _GROUP),
    ACTIVE: Family("Licensed people with an event in the window that ends today.", _WINDOW),
    LOGGED_IN: Family("Licensed people with a login in the window that ends today.", _WINDOW),
    RATE: Family("Active people to licensed people.", _WINDOW),
    TRUNCATED: Family("There are more groups than are shown.", ("tenant", "dimension")),
    LEVEL: Family("How far the group came in the last full week, from 0 to 4.", _GROUP),
    VERDICT: Family("What is said of the group for the last full week.", (*_GROUP, "phase", "verdict")),
    METRIC: Family("Share of a metric in a full week: the last one, or the one before.", (*_GROUP, "metric", "week")),
    UNKNOWN: Family("Values that are not known, by the reason.", ("tenant", "metric", "reason")),
    WAVE_RATIO: Family("People of a wave connected by D+n, once that day is over.", ("tenant", "wave", "n")),
    WAVE_PEOPLE: Family("People of a wave's cohort.", ("tenant", "wave")),
    WAVE_CONNECTED: Family("People of a wave's cohort who have connected until now.", ("tenant", "wave")),
    WAVE_STARTS: Family("Midnight of a wave's go-live.", ("tenant", "wave")),
    ALERTS: Family("Open alerts.", ("tenant", "rule", "severity")),
    ANNOTATION: Family("Midnight of a day that was annotated.", ("tenant", "kind", "annotation")),
    EVENTS: Family("Events of the tenant, by what became of them.", ("tenant", "outcome"), counts=True),
    LETTERS: Family("Dead letters that nobody has dealt with.", ("tenant", "source")),
    SOURCE_SEEN: Family("The newest event of a source.", ("tenant", "source")),
    SOURCE_SILENT: Family("Whether a source is silent that usually sends at this time.", ("tenant", "source")),
    NOW: Family("What the tenant takes for now.", ("tenant",)),
}


class Collector:
    """Yields the process' own metrics, then the families that have a sample."""

    def __init__(self, own: CollectorRegistry, tenants: Iterable[Samples]) -> None:
        self._own = own
        self._tenants = list(tenants)

    def collect(self) -> Iterator[Metric]:
        """Yield each family once."""
        yield from self._own.collect()
        for name, family in FAMILIES.items():
            kind = CounterMetricFamily if family.counts else GaugeMetricFamily
            metric = kind(name, family.sentence, labels=family.labels)
            for samples in self._tenants:
                for labels, value in samples.get(name, ()):
                    metric.add_metric(labels, value)
            if metric.samples:
                yield metric
