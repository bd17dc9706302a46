"""A gauge of what one process of a cluster tells for all: absent on the others, and soon after it fell silent.

A number that nobody renews is no longer true; a sum or a maximum over all processes is right without knowing who tells.
"""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily

FADES_SECONDS: Final = 180.0


class Fading:
    """One such gauge, in ``registry``. ``clock``: seconds that only grow."""

    def __init__(
        self, name: str, sentence: str, *, registry: CollectorRegistry, clock: Callable[[], float] = monotonic
    ) -> None:
        self._name, self._sentence, self._clock = name, sentence, clock
        self._told: tuple[float, float] | None = None
        registry.register(self)

    def set(self, value: float) -> None:
        """Tell ``value``, which stands until the next or until it fades."""
        self._told = value, self._clock()

    def clear(self) -> None:
        """Tell nothing any more: somebody else does."""
        self._told = None

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the family without a sample, so that no second one takes its name."""
        return [GaugeMetricFamily(self._name, self._sentence)]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what stands."""
        if self._told is not None and self._clock() - self._told[1] <= FADES_SECONDS:
            yield GaugeMetricFamily(self._name, self._sentence, value=self._told[0])
