"""The plot: who goes live when, and what happens to them. The parameters from which events and known alerts follow.

Days are local days of ``TIME_ZONE``; spans are half-open, ``[first, end)``. Weeks count from a wave's go-live, from 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

SEED: Final = 2025
TIME_ZONE: Final = "Europe/Paris"
"""Its clocks go back inside the story, on 2025-10-26."""

FIRST_DAY: Final = date(2025, 9, 1)
WEEKS: Final = 12
LAST_NIGHT: Final = FIRST_DAY + timedelta(weeks=WEEKS)
"""The morning after the last day: only software is awake."""
HOLIDAYS: Final = (date(2025, 11, 11),)


@dataclass(frozen=True, slots=True)
class Wave:
    """Teams that go live together. ``arrivals`` says how many of the cohort first come on which working day."""

    id: str
    name: str
    go_live: date
    teams: tuple[tuple[str, int], ...]
    arrivals: Mapping[int, int]

    def week(self, number: int) -> date:
        """Return the first day of week ``number`` from go-live."""
        return self.go_live + timedelta(weeks=number - 1)

    @property
    def weeks(self) -> int:
        """How many whole weeks of it the story tells."""
        return (LAST_NIGHT - self.go_live).days // 7


FIRST: Final = Wave(
    "wave-1",
    "First wave",
    FIRST_DAY,
    (
        ("Foundry", 16),
        ("Harbour", 14),
        ("Lantern", 16),
        ("Meadow", 15),
        ("Orchard", 14),
        ("Quarry", 15),
        ("Summit", 15),
    ),
    {0: 69, 1: 15, 2: 4, 3: 2},
)
"""D+1 is 84 of 105: exactly the target of 80 %, which is no alert. D+5 is 90 of 105."""

SECOND: Final = Wave(
    "wave-2",
    "Second wave",
    FIRST_DAY + timedelta(weeks=2),
    (("Bridge", 16), ("Canal", 14), ("Compass", 18), ("Garden", 14), ("Mill", 15), ("Signal", 12), ("Tower", 16)),
    {0: 52, 1: 26, 2: 12, 3: 7, 4: 4, 5: 2, 7: 1},
)
"""D+1 is 78 of 105; two days later 97 have come."""

THIRD: Final = Wave(
    "wave-3",
    "Third wave",
    FIRST_DAY + timedelta(weeks=4),
    (("Castle", 17), ("Forest", 15), ("Island", 13), ("Market", 18), ("River", 13), ("Station", 14)),
    {0: 26, 1: 17, 2: 5, 3: 4, 4: 10, 5: 8, 6: 4, 7: 6, 8: 3, 9: 2, 10: 1},
)
"""D+3 is 52 of 87: under 70 %. D+5 is 70 of 87, D+7 is 80 of 87."""

WAVES: Final = (FIRST, SECOND, THIRD)

NEVER_CAME: Final = "Quarry"
"""Trained, licensed, never seen."""

COLLAPSE: Final = "Compass"
COLLAPSE_WEEK: Final = 5
COLLAPSE_LOST: Final = 10
"""From one week to the next ten of eighteen stop."""

EROSION: Final = "Lantern"
EROSION_STOPS: Final = (4, 6, 8, 10)
"""In each of these weeks one more person of sixteen no longer comes."""

DIP: Final = "Meadow"
DIP_WEEKS: Final = (8, 9)
DIP_LOST: Final = 2
"""Two of fifteen are away on other work for two weeks, then back."""

MASQUERADE: Final = "Harbour"
"""Comes every day and enters little that anybody could decide by: placeholders, dates long past, no next steps."""

OFFLINE: Final = "Signal"
OFFLINE_FROM: Final = SECOND.go_live
OFFLINE_END: Final = SECOND.go_live + timedelta(days=3)
OFFLINE_DELIVERED: Final = SECOND.go_live + timedelta(days=10)
"""The team works from its go-live on, yet its first three days are delivered a week late."""

OUTAGE_SOURCE: Final = "/crm/service"
OUTAGE_FROM: Final = FIRST_DAY + timedelta(weeks=6, days=1)
OUTAGE_END: Final = FIRST_DAY + timedelta(weeks=6, days=4)
"""Tuesday to Thursday of the seventh week this source sends nothing, and never catches up: who came is not known."""

LEAVERS: Final = (("Foundry", 8), ("Tower", 7))
"""One licence of the team ends with the Sunday before that week."""
JOINERS: Final = (("Castle", 4), ("Market", 5), ("River", 4))
"""One person of the team gets a licence, and comes, on the Monday of that week."""

PILOTS: Final = 5
"""People of the third wave who tried the product two weeks early; the first of them never came back."""
SYNCED: Final = "Garden"
"""One person of this team is seen only through a synchronisation: software acts, the person never comes."""

CHECKPOINTS: Final = ((1, 24), (2, 12), (3, 24), (5, 24))
"""(N, local hour): when D+N of a wave is judged."""
WEEK_JUDGED: Final = 2
"""Local hour of the Monday at which the week before is judged."""
