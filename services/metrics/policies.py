"""A field registry as records are judged by it: names folded, stages ranked, each field with when it is due. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from schemas.fields import CLOSED, MEANINGS, FieldPolicy, FieldRegistry, ObjectFields, folded

Due: TypeAlias = int | str | None
"""From which stage on: its rank, or won, lost or closed; a stage of unknown rank by its name; None: at once."""

_ENDS: Final = frozenset({"won", "lost", CLOSED})
_PLAIN: Final = FieldPolicy()
_FACTS: Final = ("stage", "owner", "close_date", "forecast")


@dataclass(frozen=True, slots=True)
class Slot:
    """One answer that is wanted: a field by any of its names."""

    name: str
    names: tuple[str, ...]
    due: Due = None
    role: str | None = None
    """Who gives it; None: whoever owns the record."""
    fact: str | None = None
    """The typed fact that tells it as well."""


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """What is expected of records of one kind."""

    name: str
    """What the CRM calls them."""
    deal: bool
    rank: Mapping[str, int]
    won: frozenset[str]
    lost: frozenset[str]
    close_names: frozenset[str]
    decision: tuple[Slot, ...]
    next_step: Slot | None
    next_step_days: int
    handoff: tuple[Slot, ...]
    handoff_roles: frozenset[str]
    commit: frozenset[str]
    commit_due: Due
    evidence: tuple[Slot, ...]
    reviewed: frozenset[str]
    """Fields that are to be up to date before a review."""
    duplicates: bool
    link: str

    def meaning(self, stage: str) -> str:
        """Return whether a record in ``stage`` is open, won or lost."""
        if stage in self.won:
            return "won"
        if stage in self.lost:
            return "lost"
        return stage if stage in MEANINGS and stage not in self.rank else "open"

    def is_due(self, due: Due, stage: str | None, outcome: str) -> bool:
        """Whether what is due from ``due`` on is due in ``stage``."""
        if due is None:
            return True
        if isinstance(due, int):
            return outcome == "won" or self.rank.get(stage or "", -1) >= due
        if due in _ENDS:
            return outcome == due or (due == CLOSED and outcome != "open")
        return outcome == "won" or stage == due


def policies(registry: FieldRegistry) -> dict[str, RecordPolicy]:
    """Return what is expected of records by what they are called, here or in a CRM; of others nothing is."""
    own = {noun: _policy(noun, fields) for noun, fields in registry.objects.items()}
    named = {name: own[noun] for noun, fields in registry.objects.items() for name in fields.names}
    return named | own


def _policy(noun: str, fields: ObjectFields) -> RecordPolicy:
    rank = {folded(stage): place for place, stage in enumerate(fields.stages)}
    won, lost = (frozenset(map(folded, stages)) for stages in (fields.won, fields.lost))

    def due(stage: str | None) -> Due:
        """Return from when on something is due, a rank where there is one."""
        if stage is None:
            return None
        stage = folded(stage)
        return rank.get(stage, "won" if stage in won else "lost" if stage in lost else stage)

    def slot(name: str, *, later: str | None = None) -> Slot:
        policy = fields.fields.get(name, _PLAIN)
        names = _spellings(fields, name)
        fact = next((fact for fact in _FACTS if not names.isdisjoint(_folded(getattr(fields, fact)))), None)
        return Slot(name, tuple(sorted(names)), due(policy.due_stage or later or fields.due_stage), policy.owner, fact)

    decision = tuple(slot(name) for name in fields.decision)
    steps = [slot(name) for name in fields.next_step]
    reviewed = [*fields.stage, *fields.close_date, *fields.forecast]
    spelled = [name for each in (*decision, *steps) for name in each.names]
    return RecordPolicy(
        name=fields.names[0] if fields.names else noun,
        deal=bool(fields.close_date),
        rank=rank,
        won=won,
        lost=lost,
        close_names=_folded(fields.close_date),
        decision=decision,
        next_step=Slot(steps[0].name, tuple(name for each in steps for name in each.names), steps[0].due, steps[0].role)
        if steps
        else None,
        next_step_days=fields.next_step_days,
        handoff=tuple(slot(name, later="won") for name in fields.handoff),
        handoff_roles=frozenset(fields.handoff_roles),
        commit=frozenset(map(folded, fields.commit)),
        commit_due=due(fields.commit_stage),
        evidence=tuple(slot(name) for name in fields.evidence),
        reviewed=_folded(reviewed) | frozenset(spelled),
        duplicates=fields.duplicates,
        link=fields.link,
    )


def _folded(names: list[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def _spellings(fields: ObjectFields, name: str) -> frozenset[str]:
    return _folded(fields.fields.get(name, _PLAIN).names or [name])


ANY: Final = _policy("", ObjectFields())
"""What is expected of records of a kind that the registry does not name: nothing."""
