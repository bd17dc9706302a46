"""Findings: what a rule says about a subject, without memory. Alerts give them a life.

A finding is one whole episode ``[opened_at, closed_at)`` as the facts show it now, in the tenant's time; an episode
that has not ended has no ``closed_at``. Two findings with the same fingerprint speak of the same episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

REFUSED: Final = "refused"
REFUSED_LAST: Final = "last_failed_login"
FADING: Final = (REFUSED, REFUSED_LAST)
"""Evidence that rests on single events. These are deleted before alerts are: unknown then, it stays as it was told."""
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

    ``wave`` None: it has to do with no wave. ``raised_at``: since when somebody is asked for an answer; None: from the
    beginning.
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
    raised_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """Return what makes this episode the same one at every evaluation."""
        return fingerprint(self.family, self.wave, self.subject, self.start, self.mark)


def fingerprint(family: str, wave: str | None, subject: Subject, start: date, mark: str | None = None) -> str:
    """Return what names an episode."""
    parts = family, wave or "", *subject, start.isoformat()
    return _SEPARATOR.join(parts if mark is None else (*parts, mark))


class Outcome(StrEnum):
    """What a rule said of one window. pending: the condition holds, but not for long enough; held: neither holds."""

    OPEN = "open"
    PENDING = "pending"
    CLEAR = "clear"
    HELD = "held"
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Why a rule opened an alert for a window of a subject, or did not.

    ``reason``: why it was not judged, or opened nothing all the same. ``baseline``: what it was compared with.
    ``fingerprint``: of the episode that the window belongs to; None: of none.
    """

    rule: str
    version: int
    subject: Subject
    window_from: date
    window_to: date
    outcome: Outcome
    reason: str | None = None
    num: int | None = None
    den: int | None = None
    baseline: Mapping[str, object] | None = None
    p: Fraction | None = None
    fingerprint: str | None = None


def family_of(fingerprint: str) -> str:
    """Return the rule family that a fingerprint names."""
    return fingerprint.partition(_SEPARATOR)[0]
