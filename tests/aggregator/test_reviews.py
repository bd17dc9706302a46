"""Which records rest on a person: in hand, told of by themselves, by others, or by who reports to them."""

from datetime import date, timedelta
from typing import Any

from services.aggregator.domain.measures import Span
from services.aggregator.store import reviews
from services.postgres import Connection, Pool, transaction
from tests.builders import NOON, add_person, add_tenant, keep

DAY = timedelta(days=1)
WEEK = NOON.date()
SPAN = Span(date(2026, 3, 3), None)


async def settle(tx: Connection) -> None:
    """Rep and her assistant report to boss, boss to chief; of each record the key says why it is concerned or not."""
    await add_tenant(tx)
    for user, manager in (("chief", None), ("boss", "chief"), ("rep", "boss"), ("aid", "rep"), ("other", None)):
        await add_person(tx, user, manager=manager, team=user)
    for record, user, days, more in (
        ("touched by boss", "boss", 0, {}),
        ("told by rep to be hers", "rep", 0, {"owner": "rep"}),
        ("told by the sync to be rep's", None, 0, {"owner": "rep"}),
        ("told on behalf of rep to be hers", "rep", 0, {"owner": "rep", "on_behalf_of": "x"}),
        ("told by the sync to be the aid's", None, 0, {"owner": "aid"}),
        ("touched by rep, another's", "rep", 0, {"owner": "other"}),
        ("told by rep to be hers, long ago", "rep", -20, {"owner": "rep"}),
        ("told by the sync to be rep's, long ago", None, -20, {"owner": "rep"}),
        ("another's", "other", 0, {"owner": "other"}),
    ):
        await keep(tx, NOON + days * DAY, **{"user": user, "object": "deal", "record": record, **more})


async def queued(tx: Connection) -> set[Any]:
    rows = await tx.fetch("delete from dirty where kind = 'record' returning subject, low, high")
    assert {tuple(row)[1:] for row in rows} <= {SPAN}
    return {row["subject"].removeprefix("deal\t") for row in rows}


async def test_on_a_person_rests_what_they_and_two_levels_below_them_have_in_hand(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await settle(tx)
        await reviews.queue_of_people(tx, "acme", NOON, ["boss"], SPAN, WEEK)
        of_boss = await queued(tx)
        await reviews.queue_of_people(tx, "acme", NOON, ["rep"], SPAN, WEEK)
        of_rep = await queued(tx)
        await reviews.queue_of_people(tx, "acme", NOON, ["chief"], SPAN, WEEK)
        of_chief = await queued(tx)

    hers = {"told by rep to be hers", "told by the sync to be rep's", "told on behalf of rep to be hers"}
    assert of_boss == hers | {"touched by boss", "told by the sync to be the aid's"}
    assert of_rep == hers | {"touched by rep, another's", "told by the sync to be the aid's"}
    assert of_chief == hers


async def test_a_meeting_may_be_about_what_the_crew_told_and_was_told_to_have_in_the_week(pool: Pool) -> None:
    async with transaction(pool) as tx:
        await settle(tx)
        await reviews.queue_of_meetings(tx, "acme", NOON, ["boss"], WEEK, SPAN)

        assert await queued(tx) == {
            *("touched by boss", "touched by rep, another's", "told by rep to be hers"),
            *("told by the sync to be rep's", "told on behalf of rep to be hers", "told by the sync to be the aid's"),
        }
