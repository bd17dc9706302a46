"""Operations: which source of events is silent. While one is, nobody is said to stay away."""

from collections.abc import Iterable, Iterator
from datetime import UTC
from fractions import Fraction
from typing import Final

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Recipient, Resolution, Subject, Tier
from services.aggregator.domain.rules.catalogue import SOURCE_SILENT
from services.aggregator.domain.silence import FILLED, SILENT, Silence

EVERYBODY: Final = Subject("tenant", "all")


def judge_sources(silences: Iterable[Silence], calendar: Calendar) -> Iterator[Finding]:
    """Find each silence; it ends when the source sends as it used to."""
    for silence in silences:
        over = silence.state != SILENT and silence.until is not None
        filled = over and not silence.blind
        since = silence.since.astimezone(calendar.zone)
        yield Finding(
            family=SOURCE_SILENT.family,
            rule=SOURCE_SILENT.id,
            rule_version=SOURCE_SILENT.version,
            severity=SOURCE_SILENT.severity,
            tier=Tier.CONFIRMED,
            wave=None,
            subject=EVERYBODY,
            start=since.date(),
            title=SOURCE_SILENT.title.format(source=silence.source, since=f"{since:%Y-%m-%d %H:%M}"),
            opened_at=silence.opened_at,
            closed_at=silence.until if over else None,
            resolution=Resolution.RECOVERED if over else None,
            window={"from": since.date(), "to": (silence.until or silence.opened_at).astimezone(calendar.zone).date()},
            evidence={
                "num": silence.seen if filled else 0,
                "den": silence.expected,
                "value": Fraction(silence.seen if filled else 0, silence.expected),
                "threshold": FILLED,
                "source": silence.source,
                "since": f"{silence.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "until": f"{silence.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if over and silence.until else None,
                "filled": filled,
            },
            audience=tuple(Recipient(role) for role in SOURCE_SILENT.audience),
            action=SOURCE_SILENT.action,
            mark=f"{silence.source}@{silence.since.astimezone(UTC).isoformat()}",
        )
