"""What is known of a metric: its names, its unit, how its cells combine, what it needs, what is aimed at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Layer: TypeAlias = Literal[1, 2, 3, 4, "other"]
"""Access, behaviour, data quality, outcome; beside them what belongs to no layer."""

Unit: TypeAlias = Literal["%", "count", "days", "hours", "per 100 users"]
Direction: TypeAlias = Literal["up", "down", "none"]
"""Which way is better."""

Combination: TypeAlias = Literal["daily", "weekly", "cumulative", "derived", "person", "absent"]
"""How the value of a window comes from cells.

daily: the sum over the days of the window. weekly: the cell on the first day of the week. cumulative: the sum over all
days up to the day asked for (over the last ``trailing`` of them, where that is set). derived: from ``basis``, at read.
person: of single people only. absent: not counted, see ``reason``.
"""

WINDOWS: Final[Mapping[Combination, tuple[str, ...]]] = MappingProxyType(
    {
        "daily": ("1d", "7d", "28d", "week", "month"),
        "weekly": ("week",),
        "cumulative": ("1d", "week", "month"),
        "derived": ("week",),
        "person": ("1d",),
        "absent": ("week",),
    }
)
"""The windows a metric is offered in. A cumulative one is told as of the end of its window."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a metric is asked for beside its group. ``allowed`` None: any text, such as the name of an object."""

    name: str
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    ``minimum``: the smallest denominator that has a value. ``inputs``: the kinds of data it rests on. ``targets``: in
    its unit, by parameter or phase of the rollout; ``""`` holds always. ``companions``: codes counted beside it, by
    name. ``settles``: days until a cell can be final. ``reach``: how many days before what it counts on tell as well.
    ``reason``: why it is absent.
    """

    code: str
    id: str
    title: str
    layer: Layer
    direction: Direction
    combination: Combination
    unit: Unit = "%"
    subject: Literal["person", "record"] = "person"
    inputs: tuple[str, ...] = ("activity", "directory")
    parameter: Parameter | None = None
    minimum: int = 1
    targets: Mapping[str, int] = field(default_factory=dict)
    companions: Mapping[str, str] = field(default_factory=dict)
    basis: tuple[str, ...] = ()
    trailing: int | None = None
    settles: int = 0
    reach: int = 0
    reason: str | None = None

    @property
    def named(self) -> str:
        """Return the title as it stands amid a sentence."""
        return self.title[0].lower() + self.title[1:]

    @property
    def windows(self) -> tuple[str, ...]:
        """Return the windows it is offered in."""
        return WINDOWS[self.combination]

    @property
    def scale(self) -> int:
        """Return what the share is multiplied by to be in the metric's unit."""
        return 100 if self.unit == "per 100 users" else 1
