"""What the decisions on telling people are made of: the alert as it stands, who is who, and what somebody was told."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

RANK: Final = {"info": 0, "warning": 1, "critical": 2, "emergency": 3}
"""How loud each severity is."""
RESOLVED: Final = "resolved"
SNOOZED: Final = "snoozed"
RESTATED: Final = "restated"
"""The resolution of an alert that should never have been."""

What: TypeAlias = Literal["opened", "raised", "reopened", "resolved", "corrected", "handed_over"]
Standing: TypeAlias = Literal["open", "resolved", "corrected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it stands. ``seq``: its last change of those that people are told of."""

    id: str
    rule: str
    severity: str
    tier: str
    state: str
    suppressed_by: str | None
    subject_kind: str
    subject_key: str
    wave: str | None
    title: str
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    evidence: Mapping[str, Any]
    audience: Sequence[Mapping[str, Any]]
    action: str
    escalation: int
    seq: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is resolved."""
        return self.state == RESOLVED

    @property
    def loudness(self) -> tuple[int, bool]:
        """How loud and how sure it is."""
        return RANK[self.severity], self.tier == "confirmed"


class Told(NamedTuple):
    """What a recipient was last told of an alert."""

    standing: Standing
    severity: str
    tier: str
    role: str

    @property
    def loudness(self) -> tuple[int, bool]:
        """How loud and how sure it was."""
        return RANK[self.severity], self.tier == "confirmed"


class Place(NamedTuple):
    """Where a person stands in the directory today. ``reachable``: there is an address, and they are here."""

    manager: str | None = None
    team: str | None = None
    function: str | None = None
    reachable: bool = False


class Louder(NamedTuple):
    """An open alert on a wave that speaks for others to some roles."""

    rule: str
    wave: str | None


class Contact(NamedTuple):
    """Who stands behind a role: a person of the directory, or an address."""

    kind: Literal["person", "email"]
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The directory of today, as far as some alerts need it, and what the tenant lets be told.

    ``people``: the subjects, everybody above them, and everybody whom another field names. ``leads``, ``champions``,
    ``functions``: by team; ``function_champions``: by function. ``hidden``: alerts on groups that are not told of.
    ``louder``: open alerts that speak for others to some roles.
    """

    people: Mapping[str, Place] = field(default_factory=dict)
    leads: Mapping[str, Sequence[str]] = field(default_factory=dict)
    champions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    functions: Mapping[str, str | None] = field(default_factory=dict)
    function_champions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sponsors: Mapping[str, str] = field(default_factory=dict)
    contacts: Mapping[str, Sequence[Contact]] = field(default_factory=dict)
    names_people: bool = True
    hidden: Container[str] = frozenset()
    louder: Sequence[Louder] = ()

    def reachable(self, person: str) -> bool:
        """Whether a message can reach ``person`` today."""
        return self.people.get(person, Place()).reachable

    def above(self, person: str) -> list[str]:
        """Return the managers of ``person``, the nearest first. Whoever comes again ends it."""
        line: list[str] = []
        at = self.people.get(person, Place()).manager
        while at is not None and at not in line and at != person:
            line.append(at)
            at = self.people.get(at, Place()).manager
        return line
