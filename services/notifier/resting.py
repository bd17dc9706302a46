"""Whoever fails rests for longer each time, so that one who always fails keeps no other waiting."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

LONGEST: Final = timedelta(seconds=60)


@dataclass(slots=True)
class Rests:
    """Until when each one rests, by any name."""

    _until: dict[object, datetime] = field(default_factory=dict)
    _failures: dict[object, int] = field(default_factory=dict)

    def over(self, name: object, now: datetime) -> bool:
        """Tell whether ``name`` may be worked on."""
        return name not in self._until or self._until[name] <= now

    def done(self, name: object) -> None:
        """Let ``name`` rest no more."""
        self._until.pop(name, None)
        self._failures.pop(name, None)

    def failed(self, name: object, now: datetime) -> None:
        """Let ``name`` rest for longer with each failure."""
        failures = self._failures[name] = min(self._failures.get(name, 0) + 1, 10)
        self._until[name] = now + min(timedelta(seconds=2**failures), LONGEST)
