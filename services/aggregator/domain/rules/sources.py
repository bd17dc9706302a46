"""Operations: which source of events is silent. While one is, nobody is said to stay away."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Resolution, Subject
from services.aggregator.domain.rules.telling import Episode, Told, active, finding
from services.aggregator.domain.silence import FILLED, SILENT, Silence
from services.rules.pack import DEFAULT
from services.rules.shape import Rule

EVERYBODY: Final = Subject("tenant", "all")


def judge_sources(
    silences: Iterable[Silence], calendar: Calendar, rules: Mapping[str, Rule] = DEFAULT
) -> Iterator[Finding]:
    """Find each silence; it ends when the source sends as it used to."""
    listed = list(silences)
    for rule in active(rules, "silent"):
        for silence in listed:
            yield _finding(rule, silence, calendar)


def _finding(rule: Rule, silence: Silence, calendar: Calendar) -> Finding:
    over = silence.state != SILENT and silence.until is not None
    seen = silence.seen if over and not silence.blind else 0
    since = silence.since.astimezone(calendar.zone)
    until = silence.until or silence.opened_at
    episode = Episode(
        since.date(),
        silence.opened_at,
        silence.until if over else None,
        Resolution.RECOVERED if over else None,
    )
    told = Told(
        window={"from": since.date(), "to": until.astimezone(calendar.zone).date()},
        evidence={
            "num": seen,
            "den": silence.expected,
            "value": Fraction(seen, silence.expected),
            "threshold": FILLED,
            "source": silence.source,
            "since": _utc(silence.since),
            "until": _utc(silence.until) if over and silence.until else None,
            "filled": over and not silence.blind,
        },
        names={"source": silence.source, "since": f"{since:%Y-%m-%d %H:%M}"},
        mark=f"{silence.source}@{silence.since.astimezone(UTC).isoformat()}",
    )
    return finding(rule, EVERYBODY, None, episode, told)


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
