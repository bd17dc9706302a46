"""Who an identity is, and what that changes in the windows, without a database."""

import random

import pytest

from services.aggregator.domain import windows
from services.aggregator.domain.links import (
    ALIAS,
    AMBIGUOUS,
    EMAIL,
    EXTERNAL_ID,
    MOST_MAILS,
    SELF,
    Evidence,
    Link,
    Seat,
    decide,
    few,
    recount,
    seat,
)
from services.aggregator.domain.windows import FOREVER, REVISION, Deltas, PersonDay, Row, Term

TERMS = (Term("tenant", "all", 0, FOREVER), Term("team", "A", 10, 40), Term("role", "x", 25, 60))


@pytest.mark.parametrize(
    ("evidence", "link"),
    [
        (Evidence(), None),
        (Evidence(decided="anna", listed=True, by_mail=("bo",), mails=1), Link("anna", ALIAS)),
        (Evidence(decided="x", by_external_id=("bo",)), None),
        (Evidence(listed=True, by_external_id=("bo",), by_mail=("cy",), mails=1), None),
        (Evidence(by_external_id=("bo",), by_mail=("cy",), mails=1), Link("bo", EXTERNAL_ID)),
        (Evidence(by_external_id=("bo", "cy"), by_mail=("cy",), mails=1), Link(None, AMBIGUOUS, ("bo", "cy"))),
        (Evidence(by_mail=("cy",), mails=8), Link("cy", EMAIL)),
        (Evidence(by_mail=("cy",), mails=9), Link(None, AMBIGUOUS, ("cy",))),
        (Evidence(by_mail=("bo", "cy"), mails=2), Link(None, AMBIGUOUS, ("bo", "cy"))),
    ],
    ids=[
        "nothing is known", "a decision beats all", "pinned is nobody else", "a person of the directory is itself",
        "an external id beats an e-mail", "an external id of two", "one e-mail", "more e-mails than people have",
        "e-mails of two people",
    ],
)  # fmt: skip
def test_who_an_identity_is(evidence: Evidence, link: Link | None) -> None:
    assert decide("x", evidence) == link


def test_of_a_shared_account_only_as_many_emails_are_looked_at_as_show_that_it_is_one() -> None:
    seen = [("acme", "kiosk", f"M{n}@x") for n in range(50)] + [
        ("acme", "hub", mail) for mail in ("A@x", "a@x ", "b@x")
    ]
    kept = few(seen)

    assert [mail for _, identity, mail in kept if identity == "hub"] == ["a@x", "b@x"]
    assert sum(identity == "kiosk" for _, identity, _ in kept) == 2 * MOST_MAILS + 1


def test_a_person_others_count_for_keeps_the_own_days_apart_and_one_who_is_merged_has_no_terms() -> None:
    plain = seat("x", Evidence(listed=True), TERMS, followed=False)
    followed = seat("x", Evidence(listed=True, external_id="7"), TERMS, followed=True)
    merged = seat("x", Evidence(decided="anna", listed=True), TERMS, followed=True)

    assert plain == Seat(TERMS, None, ("", "", ""))
    assert followed == Seat(TERMS, Link("x", SELF), ("7", "", ""))
    assert merged == Seat((), Link("anna", ALIAS), ("", "", "anna"))
    assert (plain.user, followed.user, merged.user) == (None, "x", "anna")


def draw_days(rng: random.Random) -> list[PersonDay]:
    return [PersonDay(day, rng.randrange(4), rng.random() < 0.5) for day in sorted(rng.sample(range(90), 25))]


def counted(deltas: Deltas) -> dict[Row, list[int]]:
    """Return the rows without revisions."""
    rows = {row: [value for field, value in enumerate(values) if field != REVISION] for row, values in deltas.settle()}
    return {row: values for row, values in rows.items() if any(values)}


@pytest.mark.parametrize("seed", range(30), ids=lambda seed: f"draw {seed}")
def test_counting_a_person_anew_is_the_same_as_counting_the_difference(seed: int) -> None:
    rng = random.Random(seed)
    before, after = draw_days(rng), draw_days(rng)
    old, new = rng.sample(TERMS, rng.randrange(4)), rng.sample(TERMS, rng.randrange(4))
    gradual, whole = Deltas(), Deltas()
    windows.move(gradual, "acme", before, old=(), new=old, final=-1)
    recount(gradual, "acme", before, after, old=old, new=new, final=rng.choice([-1, 50]))
    windows.move(whole, "acme", after, old=(), new=new, final=-1)

    assert counted(gradual) == counted(whole)


def test_a_day_that_stays_restates_nothing() -> None:
    deltas = Deltas()
    days = [PersonDay(3, 1, logged_in=True), PersonDay(60, 1, logged_in=False)]
    recount(deltas, "acme", days, [days[0], PersonDay(60, 2, logged_in=False)], old=TERMS, new=TERMS, final=100)

    assert {row.day for row, values in deltas.settle() if values[REVISION]} >= {60}
    assert all(row.day >= 60 for row, _ in deltas.settle())
