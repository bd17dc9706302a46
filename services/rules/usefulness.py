"""Whether a rule is worth its noise: what became of the alerts that it opened, and whether to retire it."""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

SPAN: Final = timedelta(weeks=8)
"""The alerts of the last so many weeks are looked at."""
LEAST: Final = 10
"""Of fewer alerts nothing is suggested."""
WORTH: Final = Fraction(10, 100)
"""What share of a rule's alerts somebody must act on."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a rule's alerts.

    ``acted``: on how many somebody did anything, ``brief``: how many ended by themselves within a day, ``ended``: how
    many ended; ``useful`` and ``useless``: what people said of them. ``whole``: the rule has been there for all of the
    time that is looked at.
    """

    alerts: int = 0
    acted: int = 0
    ended: int = 0
    brief: int = 0
    useful: int = 0
    useless: int = 0
    median_hours: float | None = None
    whole: bool = False


def to_retire(record: Record) -> bool:
    """Tell whether next to nobody acts on what the rule says, and has had the time to."""
    if not record.whole or record.alerts < LEAST:
        return False
    return Fraction(record.acted, record.alerts) < WORTH


def share(num: int, den: int) -> Fraction | None:
    """Return a share; None: of nothing."""
    return Fraction(num, den) if den else None
