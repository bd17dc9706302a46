"""How fast each source may send: a bucket of tokens per source. Pure: the clock goes in as an argument."""

from typing import Final

_BURST_SECONDS: Final = 2.0


class Limits:
    """The buckets of all sources. A burst of two seconds' worth is taken at once."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, source: str, rate: int, now: float) -> float:
        """Take a token of ``source`` at ``now`` (seconds); return 0, or after how many seconds there will be one.

        ``rate``: requests a second, 0: the rate for all.
        """
        rate = rate or self._rate
        full = rate * _BURST_SECONDS
        tokens, since = self._buckets.get(source, (full, now))
        tokens = min(full, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[source] = (tokens, now)
            return (1 - tokens) / rate
        self._buckets[source] = (tokens - 1, now)
        return 0.0
