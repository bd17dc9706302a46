"""The catalogue holds every metric of the definition, and says of each what the others need to know."""

import re

import pytest

from services.metrics.catalogue import METRICS, Metric, by_code

every = pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.code)


def test_there_are_forty_metrics_in_order() -> None:
    assert [metric.code for metric in METRICS.values()] == [f"M{number}" for number in range(1, 41)]
    assert by_code("M10") is METRICS["adoption.daily_rate"]
    assert by_code("M41") is None


@every
def test_a_metric_is_known_by_its_id_and_code(metric: Metric) -> None:
    assert METRICS[metric.id] is metric
    assert by_code(metric.code) is metric
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", metric.id)


@every
def test_a_metric_says_what_it_is_what_it_needs_and_when_it_can_be_asked_for(metric: Metric) -> None:
    assert len(metric.title.split()) > 4
    assert metric.inputs
    assert metric.windows
    assert all(by_code(code) for code in metric.basis)
    assert metric.combination != "derived" or metric.basis


@every
def test_what_cannot_be_counted_says_what_is_missing(metric: Metric) -> None:
    if metric.combination == "absent":
        assert metric.reason == f"missing_{metric.inputs[0]}"
    else:
        assert metric.reason is None
