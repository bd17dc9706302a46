"""All rules over all facts of one tenant: the whole time line of episodes, as the facts show it now.

A pure function of facts and of the tenant's now: the order in which the facts arrived leaves no trace in it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Evaluation, Finding, Subject
from services.aggregator.domain.rules import change, launches
from services.aggregator.domain.rules.access import judge_people, judge_wave
from services.aggregator.domain.rules.change import History, judge_change
from services.aggregator.domain.rules.inhibition import inhibit
from services.aggregator.domain.rules.sources import judge_sources
from services.aggregator.domain.silence import Silence
from services.aggregator.domain.waves import Rollout
from services.rules.pack import DEFAULT
from services.rules.shape import Rule


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant has decided about counting and naming people."""

    calendar: Calendar
    min_group: int = 5
    name_people: bool = True


def judge(
    policy: Policy,
    rollouts: Iterable[Rollout],
    histories: Iterable[History],
    now: datetime,
    silences: Iterable[Silence] = (),
    rules: Mapping[str, Rule] = DEFAULT,
    beside: Iterable[Finding] = (),
) -> list[Finding]:
    """Return every episode of every rule and subject up to ``now``, inhibited ones marked.

    ``beside``: what was found by looking at weeks and people otherwise. Of an episode that is told twice the first
    counts.
    """
    found = [
        *judge_sources(silences, policy.calendar, rules),
        *_judge(policy, rollouts, histories, now, rules),
        *beside,
    ]
    return inhibit(list({each.fingerprint: each for each in reversed(found)}.values())[::-1], rules, now)


def _judge(
    policy: Policy,
    rollouts: Iterable[Rollout],
    histories: Iterable[History],
    now: datetime,
    rules: Mapping[str, Rule],
) -> Iterator[Finding]:
    calendar = policy.calendar
    for rollout in rollouts:
        yield from judge_people(rollout, calendar, now, rules)
        yield from judge_wave(
            rollout, calendar, now, min_group=policy.min_group, name_people=policy.name_people, rules=rules
        )
    for history in histories:
        yield from judge_change(history, calendar, now, rules)


def evaluations(
    policy: Policy,
    rollouts: Iterable[Rollout],
    histories: Iterable[History],
    now: datetime,
    found: Iterable[Finding],
    rules: Mapping[str, Rule] = DEFAULT,
) -> Iterator[Evaluation]:
    """Tell of each window of the launch and of the weeks since week 1 what was made of it; ``found``: by ``judge``."""
    by_wave: dict[str | None, dict[tuple[str, Subject], Finding]] = {}
    for each in found:
        by_wave.setdefault(each.wave, {})[each.family, each.subject] = each
    for rollout in rollouts:
        yield from launches.evaluations(rollout, policy.calendar, now, by_wave.get(rollout.wave.id, {}), rules)
    for history in histories:
        yield from change.evaluations(history, policy.calendar, rules)
