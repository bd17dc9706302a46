"""The forty metrics: what each is called, how its cells combine, what it needs, and what is aimed at.

The code (``M10``) is what stands in the counts, the id (``adoption.daily_rate``) is what the world sees.
Invariant: every metric of the catalogue is here; one that cannot be counted says why by its ``reason``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.metrics.catalogue.absent import ABSENT
from services.metrics.catalogue.access import ACCESS
from services.metrics.catalogue.behaviour import BEHAVIOUR
from services.metrics.catalogue.quality import QUALITY
from services.metrics.catalogue.shape import WINDOWS, Combination, Direction, Layer, Metric, Parameter, Unit

__all__ = ["METRICS", "WINDOWS", "Combination", "Direction", "Layer", "Metric", "Parameter", "Unit", "by_code"]

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {metric.id: metric for metric in (*ACCESS, *BEHAVIOUR, *QUALITY, *ABSENT)}
)
"""Every metric by its id, in the order of their codes."""

_BY_CODE: Final = MappingProxyType({metric.code: metric for metric in METRICS.values()})


def by_code(code: str) -> Metric | None:
    """Return the metric with ``code`` (``M10``)."""
    return _BY_CODE.get(code)
