"""Findings: what a rule says about a subject, without memory. Alerts give them a life.

A finding is one whole episode ``[opened_at, closed_at)`` as the facts show it now, in the tenant's time; an episode
that has not ended has no ``closed_at``. Two findings with the same fingerprint speak of the same episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple

_SEPARATOR: Final = "\x1f"


class Severity(StrEnum):
    """How loud, from quiet to loud."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"


class Tier(StrEnum):
    """How sure."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"


class Resolution(StrEnum):
    """Why an episode ended."""

    CONNECTED = "connected"
    LICENCE_ENDED = "licence_ended"
    RECOVERED = "recovered"
    SUPERSEDED = "superseded"
    PHASE_ENDED = "phase_ended"
    RESTATED = "restated"


class Subject(NamedTuple):
    """Whom it is about: ``kind`` is user, team, role, wave or tenant."""

    kind: str
    key: str


class Recipient(NamedTuple):
    """Who should know, by role; ``person`` where the directory names one."""

    role: str
    person: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One episode. ``family`` stays when one rule supersedes another in it; ``start`` and ``mark`` tell episodes apart.

    ``wave`` None: it has to do with no wave.
    """

    family: str
    rule: str
    rule_version: int
    severity: Severity
    tier: Tier
    wave: str | None
    subject: Subject
    start: date
    title: str
    opened_at: datetime
    closed_at: datetime | None
    resolution: Resolution | None
    window: Mapping[str, object]
    evidence: Mapping[str, object]
    audience: tuple[Recipient, ...]
    action: str
    episode: int = 1
    suppressed_by: str | None = None
    mark: str | None = None

    @property
    def fingerprint(self) -> str:
        """Return what makes this episode the same one at every evaluation."""
        parts = self.family, self.wave or "", *self.subject, self.start.isoformat()
        return _SEPARATOR.join(parts if self.mark is None else (*parts, self.mark))


def family_of(fingerprint: str) -> str:
    """Return the rule family that a fingerprint names."""
    return fingerprint.partition(_SEPARATOR)[0]
