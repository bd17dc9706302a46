"""The diagnosis that goes with an alert about a group: eight questions, and five barriers in their order.

A heuristic that shows its evidence, never a verdict. What nothing was measured of is said to be not measured, and is a
question for the manager. Friction comes before people: training is suggested only when knowledge is the first barrier.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

_HALF: Final = Fraction(1, 2)
_INSPECTED: Final = Fraction(60, 100)
"""The share of open records that a manager should have looked at."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A metric of the group in the week of the alert, by its id. ``of``: its parameter."""

    metric: str
    title: str
    num: int
    den: int
    of: str | None = None

    @property
    def share(self) -> Fraction:
        """Return the share."""
        return Fraction(self.num, self.den)


@dataclass(frozen=True, slots=True)
class Question:
    """One of the eight. ``answer`` None: not measured, so it is asked."""

    key: str
    question: str
    answer: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Barrier:
    """One of the five. ``score``: from 0 (it stands in the way) to 1; None: not measured."""

    barrier: str
    question: str
    score: Fraction | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an alert's group may suffer from. ``first``: the first barrier that is lower than half."""

    questions: Sequence[Question]
    barriers: Sequence[Barrier]
    first: Barrier | None
    suggestion: str


WORKFLOW: Final = "behaviour.in_crm_creation"
UPDATES: Final = "behaviour.pre_meeting_update"
INSPECTION: Final = "manager.inspection_rate"
MEETINGS: Final = "meeting.crm_run_share"
EXPORTS: Final = "behaviour.export_before_meeting"
ABANDONED: Final = "behaviour.task_abandon"
WORKAROUNDS: Final = "workaround.rate"
COMPLETE: Final = "dq.valid_completeness"
PLACEHOLDERS: Final = "dq.placeholder_rate"
STALE: Final = "dq.stale_close_date"
NEXT_STEP: Final = "dq.next_step_current"
METRICS: Final = (
    WORKFLOW,
    UPDATES,
    INSPECTION,
    MEETINGS,
    EXPORTS,
    ABANDONED,
    WORKAROUNDS,
    COMPLETE,
    PLACEHOLDERS,
    STALE,
    NEXT_STEP,
)
"""What a diagnosis rests on."""
_SUGGESTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "awareness": "Say once more, in the manager's own words, why this matters, and what will be better for them.",
        "desire": "Ask three of them what they get back from the CRM, and fix the first thing they name.",
        "knowledge": "Fifteen minutes on one real task of theirs, with somebody who does it every day.",
        "ability": "Sit beside one of them while they do the task, and take away the step where they stop.",
        "reinforcement": "Let the next team meeting run on the CRM's own list, and look at three fields together.",
    }
)
_ASK: Final = "Sit down with three people who stopped and find out which step stands in the way, before anything else."


def diagnose(found: Iterable[Evidence], subject: tuple[str, str], owner: str | None) -> Diagnosis:
    """Return the diagnosis of a group. ``owner``: the role that can take the friction away."""
    by_metric: dict[str, list[Evidence]] = {}
    for each in found:
        if each.den > 0:
            by_metric.setdefault(each.metric, []).append(each)
    barriers = _barriers(by_metric)
    first = next((each for each in barriers if each.score is not None and each.score < _HALF), None)
    return Diagnosis(
        _questions(by_metric, subject, owner),
        barriers,
        first,
        _ASK if first is None else _SUGGESTIONS[first.barrier],
    )


def _questions(found: Mapping[str, Sequence[Evidence]], subject: tuple[str, str], owner: str | None) -> list[Question]:
    return [
        _lowest("workflow", "Which workflow moved elsewhere?", found, (WORKFLOW, UPDATES)),
        Question("role", "Which role is affected?", subject[1] if subject[0] == "role" else None),
        _skipped(found),
        Question("reason", "Why do people avoid it: what did they try, and where did it stop?"),
        _all("inspection", "Do managers look at the records, and where?", found, (INSPECTION, MEETINGS)),
        _all("friction", "Which step or automation is in the way?", found, (ABANDONED, WORKAROUNDS)),
        _all("consequence", "Which report is not trusted because of it?", found, (EXPORTS,)),
        Question("owner", "Who fixes it, and by when?", None if owner is None else owner.replace("_", " ")),
    ]


def _lowest(key: str, question: str, found: Mapping[str, Sequence[Evidence]], metrics: Sequence[str]) -> Question:
    told = [each for metric in metrics for each in found.get(metric, ())]
    if not told:
        return Question(key, question)
    worst = min(told, key=lambda each: (each.share, each.metric, each.of or ""))
    return Question(key, question, _said(worst), (worst,))


def _skipped(found: Mapping[str, Sequence[Evidence]]) -> Question:
    """Return which kind of field is left out most."""
    question = "Which field or action is left out?"
    missing = [
        (1 - each.share if metric in {COMPLETE, NEXT_STEP} else each.share, each)
        for metric in (COMPLETE, PLACEHOLDERS, STALE, NEXT_STEP)
        for each in found.get(metric, ())
    ]
    if not missing:
        return Question("skipped", question)
    _, worst = max(missing, key=lambda pair: (pair[0], pair[1].metric))
    return Question("skipped", question, _said(worst), (worst,))


def _all(key: str, question: str, found: Mapping[str, Sequence[Evidence]], metrics: Sequence[str]) -> Question:
    told = tuple(each for metric in metrics for each in found.get(metric, ()))
    return Question(key, question, "; ".join(map(_said, told)) or None, told)


def _barriers(found: Mapping[str, Sequence[Evidence]]) -> list[Barrier]:
    abandoned, inspected, meetings = (tuple(found.get(name, ())) for name in (ABANDONED, INSPECTION, MEETINGS))
    reinforced = [min(each.share / _INSPECTED, Fraction(1)) for each in inspected] + [each.share for each in meetings]
    return [
        Barrier("awareness", "Do they know why, and by when?"),
        Barrier("desire", "What is in it for them?"),
        Barrier("knowledge", "Do they know how?"),
        Barrier("ability", "Can they do it on their real work, without stumbling?", _mean(abandoned), abandoned),
        Barrier(
            "reinforcement",
            "Does anybody look at it, and does it change anything?",
            sum(reinforced, Fraction()) / len(reinforced) if reinforced else None,
            (*inspected, *meetings),
        ),
    ]


def _mean(abandoned: Sequence[Evidence]) -> Fraction | None:
    """Return the share of tasks that were brought to an end."""
    total = sum(each.den for each in abandoned)
    return 1 - Fraction(sum(each.num for each in abandoned), total) if total else None


def _said(evidence: Evidence) -> str:
    of = "" if evidence.of is None else f" ({evidence.of})"
    return f"{evidence.title}{of}: {evidence.num} of {evidence.den}"
