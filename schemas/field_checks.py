"""What makes no sense in a field registry, though each part of it is of the right type. Pure."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas import places
from schemas.fields import CLOSED, FieldRegistry, ObjectFields, facts_of, folded

LONGEST_NEXT_STEP_DAYS: Final = 365


class Problem(NamedTuple):
    """What is wrong with a registry, and where: a JSON pointer."""

    pointer: str
    reason: str


def problems(registry: FieldRegistry) -> list[Problem]:
    """Return what makes no sense in ``registry``, though each part of it is of the right type."""
    found = []
    claimed = Counter(name for noun, each in registry.objects.items() for name in _spelled(noun, each))
    for noun, fields in registry.objects.items():
        place = f"/objects/{_step(noun)}"
        found += [
            Problem(f"{place}/names", "names a kind of record that another object has too")
            for name in fields.names
            if claimed[name.casefold()] > 1
        ][:1]
        found += [Problem(place + pointer, reason) for pointer, reason in _of_object(fields)]
    return found


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _spelled(noun: str, fields: ObjectFields) -> set[str]:
    return {name.casefold() for name in (noun, *fields.names)}


def _of_object(fields: ObjectFields) -> Iterator[Problem]:
    stages = [folded(name) for name in (*fields.stages, *fields.won, *fields.lost)]
    if len(set(stages)) < len(stages):
        yield Problem("/stages", "names a stage twice, here or in won or lost")
    known = {*stages, "won", "lost", CLOSED}
    dues = [("/due_stage", fields.due_stage), ("/commit_stage", fields.commit_stage)]
    dues += [(f"/fields/{_step(name)}/due_stage", policy.due_stage) for name, policy in fields.fields.items()]
    for pointer, stage in dues:
        if stages and stage is not None and folded(stage) not in known:
            yield Problem(pointer, "is none of the stages, won, lost or closed")
    facts = Counter(name.casefold() for _, names in facts_of(fields) for name in {each.casefold() for each in names})
    if any(times > 1 for times in facts.values()):
        yield Problem(
            "", "gives one field two meanings: stage, owner, close_date, forecast and outcome exclude each other"
        )
    spellings = Counter(name.casefold() for own, policy in fields.fields.items() for name in policy.names or [own])
    if any(times > 1 for times in spellings.values()):
        yield Problem("/fields", "names one field of the CRM twice")
    if not 1 <= fields.next_step_days <= LONGEST_NEXT_STEP_DAYS:
        yield Problem("/next_step_days", f"must lie between 1 and {LONGEST_NEXT_STEP_DAYS}")
    if fields.commit_stage is not None and not fields.evidence:
        yield Problem("/commit_stage", "needs fields of evidence")
    reason = places.problem(fields.link)
    if reason is not None:
        yield Problem("/link", reason)
