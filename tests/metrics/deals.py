"""A house with deals: its registry, its people, and changes of a deal with everything but the point filled in."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from schemas.fields import FieldPolicy, FieldRegistry, ObjectFields
from services.metrics.histories import Change, State, Timeline
from services.metrics.policies import RecordPolicy, policies
from services.metrics.records import Meeting, Owner, People, contribute_record
from services.metrics.shape import Contribution, Groups

WEEK = date(2026, 3, 2)
START = datetime(2026, 3, 2, tzinfo=UTC)
"""The beginning of a week, a Monday."""
END = START + timedelta(days=7)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

DEAL = ObjectFields(
    names=["Opportunity"],
    stage=["StageName"],
    owner=["OwnerId"],
    close_date=["CloseDate"],
    stages=["First", "Proposal", "Negotiation"],
    won=["Closed Won"],
    lost=["Closed Lost"],
    fields={
        "budget": FieldPolicy(names=["Budget__c", "budget"], due_stage="Proposal", owner="sales engineer"),
        "loss reason": FieldPolicy(names=["LossReason"], due_stage="lost"),
        "risk": FieldPolicy(due_stage="closed won"),
    },
    decision=["Amount", "budget", "loss reason", "risk"],
    next_step=["NextStep", "NextDate"],
    handoff=["Contact", "Goals"],
    handoff_roles=["success"],
    forecast=["ForecastCategory"],
    commit=["Commit"],
    commit_stage="Negotiation",
    evidence=["Champion"],
)
REGISTRY = FieldRegistry(objects={"deal": DEAL, "contact": ObjectFields(decision=["Email"]), "note": ObjectFields()})
POLICIES = policies(REGISTRY)
POLICY = POLICIES["deal"]

NORTH, SOUTH = Groups(team="north", role="rep"), Groups(team="south", role="rep")
_numbers = itertools.count()


def change(kind: str = "updated", at: datetime = START, user: str | None = "ada", **more: Any) -> Change:
    """Return a change by ``user`` at the screen; ``fields`` may be names that are filled."""
    fields = more.pop("fields", None)
    if isinstance(fields, str):
        fields = dict.fromkeys(fields.lower().split(), "filled")
    identity = more.pop("identity", f"{next(_numbers):08}")
    return Change(at, identity, f"crm.record.{kind}", user, **{"origin": "ui", "fields": fields, **more})


def made(at: datetime = START, **more: Any) -> Change:
    """Return the creation of a deal of ada's."""
    return change("created", at, **{"owner": "ada", **more})


def owners(zone: tzinfo = UTC, **teams: Groups) -> People:
    """Return a house in which ``teams`` says who is where; all report to bo, ``ada-crm`` is ada."""
    known = {
        name: Owner(groups, zone, frozenset({"bo"}) - {name})
        for name, groups in ({"ada": NORTH, "eve": SOUTH, "cy": Groups(team="care", role="success")} | teams).items()
    }
    return People(lambda name: {"ada-crm": "ada", "nobody": None}.get(name, name), lambda name, _: known.get(name))


PEOPLE = owners()


def contribution(
    changes: Iterable[Change],
    *,
    week: date = WEEK,
    week_end: datetime | None = None,
    policy: RecordPolicy = POLICY,
    people: People = PEOPLE,
    base: State | None = None,
    meetings: Sequence[Meeting] = (),
) -> Contribution | None:
    """Return what a record with ``changes`` adds to ``week``."""
    end = week_end or datetime.combine(week + 7 * DAY, time(), UTC)
    return contribute_record(
        Timeline(changes, policy, base), policy, week, week_end=end, people=people, meetings=meetings
    )


def count(code: str, *changes: Change, **more: Any) -> tuple[int, int] | None:
    """Return one number of what a record with ``changes`` adds to the week; None: nothing."""
    found = contribution(changes, **more)
    return None if found is None else found.counts.get(code)
