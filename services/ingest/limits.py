"""How fast each source may send, and how much of what waits for the log may be one tenant's.

Pure: the clock goes in as an argument.
"""

from typing import Final

_BURST_SECONDS: Final = 2.0
_MOST_BUCKETS: Final = 4096


class Limits:
    """The buckets of all sources. A burst of two seconds' worth is taken at once."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float, float]] = {}
        self._sweep_at = _MOST_BUCKETS

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._buckets)

    def wait(self, source: str, rate: int, now: float) -> float:
        """Take a token of ``source`` at ``now`` (seconds); return 0, or after how many seconds there will be one.

        ``rate``: requests a second, 0: the rate for all.
        """
        rate = rate or self._rate
        full = rate * _BURST_SECONDS
        tokens, since, _ = self._buckets.get(source, (full, now, full))
        tokens = min(full, tokens + max(0.0, now - since) * rate)
        taken = 1 if tokens >= 1 else 0
        self._buckets[source] = (tokens - taken, now, now + (full - tokens + taken) / rate)
        if len(self._buckets) > self._sweep_at:
            self._sweep(now)
        return 0.0 if taken else (1 - tokens) / rate

    def _sweep(self, now: float) -> None:
        """Forget the buckets that are full again: one that is not there is full, too."""
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket[2] > now}
        self._sweep_at = max(_MOST_BUCKETS, 2 * len(self._buckets))


class Shares:
    """What waits for the log, in bytes, by tenant. ``most``: how much may wait in all.

    Below half of it nobody is limited. Above, whoever holds more than an equal share is, and nobody may hold more than
    three quarters: there is always room for who comes next.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._held: dict[str, int] = {}

    def crowds(self, tenant: str) -> bool:
        """Whether ``tenant`` holds so much that it takes the room of others."""
        if self._total * 2 <= self._most:
            return False
        held = self._held.get(tenant, 0)
        return held * len(self._held) > self._most or held * 4 > self._most * 3

    def hold(self, tenant: str, size: int) -> None:
        """Note that so much more of ``tenant`` waits."""
        self._total += size
        self._held[tenant] = self._held.get(tenant, 0) + size

    def release(self, tenant: str, size: int) -> None:
        """Note that so much of ``tenant`` waits no longer."""
        self._total -= size
        left = self._held.get(tenant, 0) - size
        if left > 0:
            self._held[tenant] = left
        else:
            self._held.pop(tenant, None)
