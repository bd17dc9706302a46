"""What is known of a record, against a model that looks everything up anew, whatever the order of arrival."""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.histories import Change, State, Timeline, carried, restored
from services.metrics.records import Meeting
from services.metrics.shape import Count
from tests.metrics.deals import DAY, END, HOUR, POLICY, START, WEEK, change, contribution, made

NAMES = ("amount", "budget", "budget__c", "nextstep", "nextdate", "champion", "contact", "goals", "closedate", "other")
KINDS = ("created", "updated", "viewed", "stage_changed", "deleted", "merged")

words = st.builds(
    lambda kind, hours, identity, user, origin, told, fields: Change(
        START + HOUR * hours, f"{identity:02}", f"crm.record.{kind}", user, origin, *told, fields
    ),
    kind=st.sampled_from([*KINDS, "updated", "updated"]),
    hours=st.integers(-30 * 24, 24 * 24) | st.integers(0, 24),
    identity=st.integers(0, 99),
    user=st.sampled_from([None, "ada", "ada-crm", "bo", "eve", "cy"]),
    origin=st.sampled_from(["ui", "ui", "unknown", "api"]),
    told=st.tuples(
        st.sampled_from([None, None, "ada", "ada-crm", "eve", "nobody"]),
        st.sampled_from(
            [None, None, "First", "proposal", "Negotiation", "Elsewhere", "Closed Won", "won", "lost", "open"]
        ),
        st.none() | st.dates(date(2026, 2, 20), date(2026, 3, 20)),
        st.sampled_from([None, None, "Commit", "Pipeline"]),
    ),
    fields=st.none()
    | st.dictionaries(
        st.sampled_from(NAMES), st.sampled_from(["filled", "empty", "placeholder", "default"]), max_size=4
    ),
)
histories = st.lists(words, max_size=9, unique_by=lambda word: word.identity)
OUTCOMES = {"closed won": "won", "won": "won", "closed lost": "lost", "lost": "lost"}


def last(changes: Sequence[Change], what: Any) -> Any:
    """Return ``what`` of the newest change that has it."""
    return max(((it.at, it.identity, what(it)) for it in changes if what(it) is not None), default=(0, 0, None))[2]


def model(changes: Sequence[Change], instant: datetime) -> State:
    """Return what is known at ``instant``, each part looked up by itself."""
    known = [it for it in changes if it.at < instant]
    births = [it for it in known if it.kind.endswith("created")]
    first = min(births, key=lambda it: (it.at, it.identity), default=None)
    dated = [it for it in known if it.close_date is not None or "closedate" in (it.fields or ())]
    newest = max(dated, key=lambda it: (it.at, it.identity), default=None)
    staged = sorted((it.at, it.identity, it.stage.casefold()) for it in known if it.stage is not None)
    outcomes = ["open", *(OUTCOMES.get(stage, "open") for _, _, stage in staged)]
    ended = None
    for (at, _, _), before, after in zip(staged, outcomes[:-1], outcomes[1:], strict=True):
        if before != after:
            ended = None if after == "open" else at
    fields = {}
    for name in {name for it in known for name in it.fields or ()}:
        telling = [it for it in known if name in (it.fields or ())]
        written = [it.at for it in telling if not it.kind.endswith("viewed")]
        fields[name] = (last(telling, lambda it, name=name: it.fields[name]), max(written, default=None))
    return State(
        created=first and first.at,
        creator=first and first.user,
        alive=last(known, lambda it: None if it.kind.endswith(("viewed", "merged")) else it.kind.endswith("deleted"))
        is not True,
        owner=last(known, lambda it: it.owner),
        stage=next((s for _, _, s in reversed(staged) if s not in OUTCOMES and s != "open"), None),
        outcome=outcomes[-1],
        ended=ended,
        close_date=newest and newest.close_date,
        forecast=(last(known, lambda it: it.forecast) or "").casefold() or None,
        fields=fields,
    )


def answer(state: State, names: Sequence[str]) -> str | None:
    told = {state.fields[name][0] for name in names if name in state.fields}
    best = next((each for each in ("filled", "placeholder", "default", "empty") if each in told), None)
    return best or (None if state.created is None else "empty")


def standing(state: State, instant: datetime) -> dict[str, Count]:
    """Return the numbers that hold of a deal at ``instant``, from the definitions."""
    told: dict[str, Count] = {}
    if not state.alive or (state.ended is not None and state.ended < instant - 7 * DAY):
        return told
    stages = ["first", "proposal", "negotiation"]
    place = stages.index(state.stage) if state.stage in stages else -1
    due = [["amount"]]
    due += [["budget", "budget__c"]] if place >= 1 or state.outcome == "won" else []
    due += [["lossreason"]] if state.outcome == "lost" else []
    due += [["risk"]] if state.outcome == "won" else []
    states = [found for names in due if (found := answer(state, names)) is not None]
    fake = sum(each in ("placeholder", "default") for each in states)
    if states:
        told["M25"] = states.count("filled"), len(states)
    if states.count("filled") + fake:
        told["M26"] = fake, states.count("filled") + fake
    if state.outcome != "open":
        return told
    stale = state.close_date is not None and state.close_date < (instant - timedelta(seconds=1)).date()
    if state.close_date is not None:
        told["M27"] = int(stale), 1
    step = answer(state, ["nextstep", "nextdate"])
    filled = [
        at for name in ("nextstep", "nextdate") for it, at in [state.fields.get(name, ("", None))] if it == "filled"
    ]
    current = step == "filled" and any(at is not None and at >= instant - 14 * DAY for at in filled)
    if step is not None:
        told["M28"] = int(current), 1
    proof = answer(state, ["champion"])
    promised = state.forecast == "commit" or place >= 2
    if promised and proof is not None:
        told["M32"] = int(proof == "filled"), 1
    fine = not stale and (step is None or current) and not (promised and proof not in ("filled", None))
    told["M31"] = int(fine and states.count("filled") == len(states)), 1
    return told


def person(name: str | None) -> str | None:
    """Return the person of the directory that ``name`` is."""
    found = {"ada-crm": "ada"}.get(name or "", name)
    return found if found in ("ada", "eve", "cy") else None


def holder(state: State) -> str | None:
    return person(state.owner if state.owner is not None else state.creator)


REVIEWS = [Meeting(START + 50 * HOUR, "bo"), Meeting(START + 90 * HOUR, "eve", "south")]


def reviewed(changes: Sequence[Change]) -> tuple[int, int]:
    """Return of how many reviews a deal was open, and for how many its owner had brought it up to date."""
    num = den = 0
    for at, chair, _ in REVIEWS:
        state = model(changes, at)
        owner = holder(state)
        if owner is None or not state.alive or state.outcome != "open" or (chair == "eve" and owner != "eve"):
            continue
        den += 1
        num += any(
            it.kind.endswith(("created", "updated", "stage_changed"))
            and person(it.user) == owner
            and it.origin != "api"
            and at - 7 * DAY <= it.at < at
            and (
                it[6:9] != (None, None, None)
                or not it.fields
                or set(it.fields) & {"amount", "budget", "budget__c", "nextstep", "nextdate", "closedate"}
            )
            for it in changes
        )
    return num, den


def handed_over(changes: Sequence[Change]) -> dict[str, Count]:
    """Return the numbers of each day on which a deal was won, and stayed it for two working days."""
    told: dict[str, list[int]] = {}
    for win in {it.at for it in changes}:
        offset = (win.date() - WEEK).days
        then = model([it for it in changes if it.at <= win], win + timedelta(seconds=1))
        if not 0 <= offset < 7 or then.outcome != "won" or then.ended != win or holder(then) is None:
            continue
        ends = [datetime(2026, 3, day, tzinfo=START.tzinfo) for day in (5, 6, 7, 10, 11, 11, 11)]
        reads = [datetime(2026, 3, day, tzinfo=START.tzinfo) for day in (10, 11, 12, 13, 14, 14, 14)]
        state = model(changes, ends[offset])
        answers = {answer(state, [name]) for name in ("contact", "goals")}
        if state.ended != win or not state.alive or answers in ({None}, {None, "filled"}):
            continue
        read = any(
            it.user == "cy" and it.origin != "api" and win <= it.at < reads[offset]
            for it in changes
            if not it.kind.endswith("deleted")
        )
        for code, hit in ((f"M29@{offset}", answers == {"filled"}), (f"M29r@{offset}", read)):
            sums = told.setdefault(code, [0, 0])
            sums[0] += hit
            sums[1] += 1
    return {code: (num, den) for code, (num, den) in told.items()}


def duplicated(changes: Sequence[Change]) -> dict[str, Count]:
    births = sorted((it.at, it.identity) for it in changes if it.kind.endswith("created"))
    offset = (births[0][0].date() - WEEK).days if births else -1
    if not 0 <= offset < 7:
        return {}
    merged = any(
        it.kind.endswith("merged") and births[0] < (it.at, it.identity) and it.at <= births[0][0] + 14 * DAY
        for it in changes
    )
    return {f"M30@{offset}": (int(merged), 1)}


@given(changes=histories, order=st.randoms(use_true_random=False), hours=st.integers(-31 * 24, 25 * 24))
@settings(max_examples=150)
def test_any_order_of_arrival_gives_the_state_that_the_model_has(changes: list[Change], order: Any, hours: int) -> None:
    mixed = list(changes)
    order.shuffle(mixed)
    timeline = Timeline(mixed, POLICY)
    instant = START + HOUR * hours

    if order.random() < 0.5:
        timeline.state_at(START + HOUR * order.randint(-700, 600))  # what was asked before changes nothing
    assert timeline.state_at(instant) == model(changes, instant)


@given(changes=histories, order=st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_order_of_arrival_gives_the_numbers_that_the_model_has(changes: list[Change], order: Any) -> None:
    mixed = list(changes)
    order.shuffle(mixed)

    found = contribution(mixed, meetings=REVIEWS)
    assert found == contribution(changes, meetings=REVIEWS)
    state = model(changes, END)
    expected: dict[str, Count] = {}
    if holder(state) is not None and any(it.at < END for it in changes):
        expected = standing(state, END) | handed_over(changes) | duplicated(changes)
        if reviewed(changes)[1]:
            expected["M17"] = reviewed(changes)
        if state.alive and state.outcome == "open":
            looks = [it for it in changes if it.kind.endswith(("viewed", "updated", "stage_changed"))]
            looks = [it for it in looks if END - 14 * DAY <= it.at < END and it.origin != "api"]
            expected["M18"] = int(any(it.user == "bo" for it in looks)), 1
    assert ({} if found is None else found.counts) == expected


@given(changes=histories, hours=st.integers(-31 * 24, 25 * 24), later=st.integers(0, 30 * 24))
@settings(max_examples=100)
def test_what_is_carried_stands_for_what_was_dropped(changes: list[Change], hours: int, later: int) -> None:
    cut = START + HOUR * hours
    kept = json.loads(json.dumps(carried(Timeline(changes, POLICY).state_at(cut))))
    rest = Timeline([it for it in changes if it.at >= cut], POLICY, restored(kept))

    instant = cut + HOUR * later
    assert rest.state_at(instant) == Timeline(changes, POLICY).state_at(instant)
    assert rest.known_at(cut)


def test_a_record_that_was_carried_counts_like_one_that_was_not() -> None:
    deal = [made(START - 60 * DAY, fields="amount", stage="Proposal"), change(at=END - DAY, fields="nextstep")]
    base = Timeline(deal[:1], POLICY).state_at(START)

    assert contribution(deal[1:], base=base) == contribution(deal)
    assert contribution([], base=base) is not None


def test_a_state_holds_no_value_of_a_field() -> None:
    told = made(fields={"amount": "filled"}, close_date=date(2026, 5, 1), forecast="Commit", stage="Proposal")

    assert carried(Timeline([told], POLICY).state_at(END)) == {
        "created": "2026-03-02T00:00:00+00:00",
        "creator": "ada",
        "owner": "ada",
        "stage": "proposal",
        "outcome": "open",
        "close_date": "2026-05-01",
        "forecast": "commit",
        "alive": True,
        "fields": {"amount": ["filled", "2026-03-02T00:00:00+00:00"]},
    }


@pytest.mark.parametrize("first", [0, 1])
def test_at_one_instant_the_identity_decides(first: int) -> None:
    words = [change(at=START, identity="b", owner="eve"), change(at=START, identity="a", owner="ada")]
    timeline = Timeline([words[first], words[1 - first]], POLICY)

    assert timeline.state_at(START + HOUR).owner == "eve"
    assert timeline.state_at(START) == State()
