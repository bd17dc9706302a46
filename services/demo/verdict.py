"""Found, missed, unexpected: the alerts of the product against those the story is known to hold. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.simulator import RULES, Known

Alert = dict[str, Any]

TAKEN_BACK: Final = "restated"
"""The resolution of an alert that later facts no longer support: raised on what had not arrived yet."""
STORY: Final = frozenset(RULES)
"""The rules that the story is told for: of these, and of no others, every alert is known."""


def told(alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts of the rules that the story is told for."""
    return [alert for alert in alerts if alert["rule"] in STORY]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of each known alert, and of each alert that the story does not hold."""

    found: Sequence[Known]
    missed: Sequence[Known]
    unexpected: Sequence[Alert]
    taken_back: Sequence[Alert]

    @property
    def complete(self) -> bool:
        """Whether exactly the known alerts were found."""
        return not self.missed and not self.unexpected


def compare(known: Iterable[Known], alerts: Iterable[Alert]) -> Verdict:
    """Compare rule, subject and tier; each known alert matches one alert at most."""
    pool: dict[tuple[str, str, str, str], list[Alert]] = {}
    taken_back: list[Alert] = []
    for alert in alerts:
        if alert.get("resolution") == TAKEN_BACK:
            taken_back.append(alert)
        else:
            pool.setdefault(_key(alert), []).append(alert)
    found: list[Known] = []
    missed: list[Known] = []
    for entry in known:
        matching = pool.get((entry.rule, entry.kind, entry.subject, entry.tier))
        (found if matching else missed).append(entry)
        if matching:
            matching.pop()
    return Verdict(found, missed, [alert for rest in pool.values() for alert in rest], taken_back)


def counts(alerts: Iterable[Alert]) -> dict[str, int]:
    """Return how many alerts of each rule stand, those taken back left out."""
    counted = Counter(alert["rule"] for alert in alerts if alert.get("resolution") != TAKEN_BACK)
    return dict(sorted(counted.items()))


def _key(alert: Alert) -> tuple[str, str, str, str]:
    return alert["rule"], alert["subject"]["kind"], alert["subject"]["key"], alert["tier"]
