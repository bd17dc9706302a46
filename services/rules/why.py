"""Why a rule did or did not open an alert for a window of a subject, in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.rules.sentences import closes, opens
from services.rules.shape import Rule

HIDDEN: Final = "hidden"
"""Instead of an outcome, where the numbers of a group are told to nobody."""
_REASONS: Final[Mapping[str, str]] = {
    "no_data": "there was nothing to judge",
    "no_expected_people": "nobody was expected in this window",
    "short_week": "it has fewer working days than the week it is compared with",
    "no_records": "there were no records to judge",
    "no_meeting": "there was no meeting in this window",
    "no_tasks": "there were no tasks in this window",
    "source_silent": "a source was silent, so it is not known what happened",
    "directory_stale": "the directory is too old to rest a share on",
    "too_small": "the group is smaller than the least the rule judges",
    "insufficient_sample": "there were fewer than the least the rule judges",
    "suppressed": "the group is too small to be told of",
    "unknown_origin": "of too many records it is not known how they were made",
    "phase": "the rule is not active in this phase of the rollout",
    "on_leave": "the person was on leave",
    "not_live": "the person has not gone live yet",
    "unlicensed": "the person has no licence",
    "leaver": "the person has left",
    "opted_out": "the person is not measured",
    "non_human": "it is an account of software",
    "short_presence": "the person was there for too short a time",
    "inhibited": "another alert speaks for it",
    "snoozed": "it is snoozed",
    "not_known_yet": "it has not been counted yet",
    "not_approved": "the directory has not been approved",
    "no_target": "nothing is aimed at in this phase",
    "missing_baseline": "there is nothing to compare it with",
    "disabled": "the rule is switched off",
    "guard": "it is less than is told apart from chance, or too few people were lost",
}
_MISSING: Final = "missing_"


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule said of a window. ``outcome``: open, pending, clear, held, not_judged or ``HIDDEN``."""

    outcome: str
    reason: str | None = None
    num: int | None = None
    den: int | None = None


def why(rule: Rule, said: Said) -> str:
    """Return in one sentence why ``rule`` did or did not open an alert."""
    if said.outcome == HIDDEN:
        return "This group is too small to be told of."
    if said.outcome == "not_judged":
        return f"Not judged: {because(said.reason)}."
    return f"{_shares(said)}{_outcome(rule, said)}."


def because(reason: str | None) -> str:
    """Return a reason in words."""
    if reason is None:
        return "no reason was given"
    if reason.startswith(_MISSING) and reason not in _REASONS:
        return f"data is missing: {reason.removeprefix(_MISSING).replace('_', ' ')}"
    return _REASONS.get(reason, reason.replace("_", " "))


def _shares(said: Said) -> str:
    if said.num is None or said.den is None:
        return ""
    if said.den == 0:
        return f"{said.num} of none. "
    tenths = (2000 * said.num + said.den) // (2 * said.den)
    return f"{said.num} of {said.den} ({tenths // 10}.{tenths % 10} %). "


def _outcome(rule: Rule, said: Said) -> str:
    also = "" if said.reason is None else f"; {because(said.reason)}"
    if said.outcome == "open":
        return f"Opened, or still open: {opens(rule)}{also}"
    if said.outcome == "pending":
        return f"The condition holds, but not for long enough yet: {opens(rule)}{also}"
    if said.outcome == "held":
        return f"Neither opens nor closes: it opens with {opens(rule)}, and closes with {closes(rule)}{also}"
    return f"Clear: it opens with {opens(rule)}{also}"
