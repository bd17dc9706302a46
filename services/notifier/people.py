"""Tells people: what may interrupt them when alerts change, and what waits for them when their morning comes.

Both follow from what stands and what each was told before, so that nothing is told twice and nothing is lost whatever
happens in between. The caller holds the subscription locked, and writes what is returned in the same transaction.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.hearing import store as company_store
from services.hearing.audience import CLOSE
from services.hearing.batches import Batch, Item, digest, interruption
from services.hearing.hours import Hours
from services.hearing.owing import STANDING
from services.hearing.pace import Budget, Pace, Spent
from services.hearing.shape import Alert, Told
from services.hearing.store import House
from services.metrics.calendar import local_day
from services.notifier.domain.people.messages import Addressee, Unjudged, body, unjudged_of
from services.notifier.domain.shape import Change, Planned, Subscription, message_id
from services.notifier.gathering import Scene, clock_time, gather, options_of
from services.notifier.store import changes as change_store
from services.notifier.store import standing
from services.notifier.store import told as memory
from services.postgres import Connection


async def plan_people(
    tx: Connection, subscription: Subscription, changes: Sequence[Change], now: datetime
) -> list[Planned]:
    """Return what interrupts people because of ``changes``; the rest waits for their mornings.

    Messages that were held back for a moment are made anew with what came since.
    """
    touched = {change.alert for change in changes if change.kind in standing.TOLD_KINDS}
    if not touched:
        return []
    await memory.alone(tx, subscription.tenant)
    held = await memory.take_back(tx, subscription, now)
    touched.update(alert for one in held for alert in one.alerts)
    alerts = await standing.alerts(tx, subscription.tenant, touched, subscription.filter)
    house = await company_store.house(tx, subscription.tenant)
    scene = await gather(tx, subscription, alerts, house, now)
    spent = await _spent(tx, scene, now)
    options = scene.options
    budget, hold = Budget(options.per_day, options.per_week), timedelta(seconds=options.hold_seconds)
    until = {one.recipient: one.due_at for one in held}
    batches = {}
    for recipient, items in scene.owed.items():
        batch = interruption(items, scene.hours(recipient), spent.get(recipient, Spent()), budget, now, hold)
        if batch is not None:
            batches[recipient] = _no_later(batch, until.get(recipient))
    return await _planned(tx, scene, batches, now)


async def plan_due(tx: Connection, subscription: Subscription, now: datetime) -> list[Planned]:
    """Return the digests of those whose morning has come since this was last asked."""
    after = await memory.mornings_to(tx, subscription)
    if after is not None and after >= now:
        return []
    await memory.set_mornings(tx, subscription, now)
    house = await company_store.house(tx, subscription.tenant)
    if after is None or not await _dawned(tx, subscription, house, after, now):
        return []
    await memory.alone(tx, subscription.tenant)
    alerts = await standing.open_alerts(tx, subscription.tenant, subscription.id, subscription.filter)
    scene = await gather(tx, subscription, alerts, house, now)
    batches, weekly = {}, set()
    owed = await asyncio.to_thread(lambda: scene.owed)
    for recipient, items in owed.items():
        hours = scene.hours(recipient)
        day = hours.morning_between(after, now)
        if day is None:
            continue
        week = hours.begins_week(day, house.first_day_of_week)
        if week:
            weekly.add(recipient)
        waiting = Pace.HOURS if scene.options.digest == "weekly" else Pace.MORNING
        batch = digest(items, now, Pace.WEEK if week else waiting)
        if batch is not None:
            batches[recipient] = batch
    return await _planned(tx, scene, batches, now, weekly=weekly)


async def _dawned(tx: Connection, of: Subscription, house: House, after: datetime, now: datetime) -> bool:
    """Whether anywhere in the tenant working hours began between ``after`` and ``now``."""
    opens = clock_time(options_of(of).opens)
    for zone in {house.time_zone, *await company_store.zones(tx, of.tenant)}:
        there = ZoneInfo(zone)
        if after < datetime.combine(local_day(now, there), opens, there) <= now:
            return True
    return False


async def _spent(tx: Connection, scene: Scene, now: datetime) -> dict[str, Spent]:
    days: dict[tuple[date, date], list[str]] = {}
    for recipient in scene.owed:
        hours = scene.hours(recipient)
        day = hours.day(now)
        days.setdefault((hours.week_of(day, scene.house.first_day_of_week), day), []).append(recipient)
    return await memory.spent(tx, scene.subscription, days)


def _no_later(batch: Batch, until: datetime | None) -> Batch:
    return batch if until is None else Batch(batch.kind, batch.items, min(batch.due_at, until), batch.counted)


async def _planned(
    tx: Connection, scene: Scene, batches: Mapping[str, Batch], now: datetime, *, weekly: Iterable[str] = ()
) -> list[Planned]:
    """Return the messages of ``batches``, and write down what they tell."""
    if not batches:
        return []
    children = await _children(tx, scene, batches)
    unjudged = await _unjudged(tx, scene, batches)
    first_of_week, of = set(weekly), scene.subscription
    messages, news = [], []
    for recipient, batch in sorted(batches.items()):
        hours = scene.hours(recipient)
        day = hours.day(now)
        made = body(
            batch,
            _addressee(scene, recipient, hours),
            scene.house.name,
            day,
            names=scene.names,
            children=children,
            standing=_still_open(scene, recipient, batch) if recipient in first_of_week else (),
            unjudged=unjudged.get(recipient, ()),
        )
        message = _message(of, recipient, batch, made, day)
        news += [memory.News(alert, recipient, told, message.message) for alert, told in _news(batch).items()]
        messages.append(message)
    await memory.tell(tx, of, news)
    await change_store.named(tx, of.tenant, of.id, of.key_id, _named(batches.values()))
    return messages


def _message(of: Subscription, recipient: str, batch: Batch, made: Mapping[str, object], day: date) -> Planned:
    """Return a message; what it tells of which state of alerts, and of a digest the day, is its identity."""
    alerts = [item.alert.id for item in batch.items]
    changes = [item.alert.seq for item in batch.items]
    tells: list[int | str] = [*changes, *([day.isoformat()] if batch.kind == "digest" else [])]
    return Planned(
        message=message_id(of.tenant, of.id, recipient, batch.kind, alerts, tells),
        kind=batch.kind,
        body=made,
        due_at=batch.due_at,
        alerts=tuple(alerts),
        changes=tuple(changes),
        recipient=recipient,
        lane=f"to {recipient}",
        told_on=day if batch.counted else None,
    )


def _named(batches: Iterable[Batch]) -> list[str]:
    """Return whom digests name; of other messages it is written down when their changes are read."""
    told = (item for batch in batches if batch.kind == "digest" for item in batch.items)
    return sorted({item.alert.subject_key for item in told if item.heard.named})


def _news(batch: Batch) -> dict[str, Told]:
    return {
        item.alert.id: Told(STANDING[item.what], item.alert.severity, item.alert.tier, item.heard.role)
        for item in batch.items
    }


def _addressee(scene: Scene, recipient: str, hours: Hours) -> Addressee:
    return Addressee(
        None if scene.channel else scene.address(recipient),
        scene.names.get(recipient),
        str(hours.zone),
        scene.options.language,
    )


def _still_open(scene: Scene, recipient: str, batch: Batch) -> list[Item]:
    """Return what a recipient was told before and is still open, beside what is in ``batch``."""
    fresh = {item.alert.id for item in batch.items}
    return [item for item in scene.still_open.get(recipient, ()) if item.alert.id not in fresh]


async def _children(tx: Connection, scene: Scene, batches: Mapping[str, Batch]) -> dict[str, list[Alert]]:
    parents = {item.alert.id for batch in batches.values() for item in batch.items if not item.alert.ended}
    found = await standing.inhibited(tx, scene.subscription.tenant, parents)
    if scene.directory.names_people or not found:
        return found
    ids = {child.id for some in found.values() for child in some}
    hidden = await standing.hidden(tx, scene.subscription.tenant, ids, scene.house.min_group)
    return {parent: [child for child in some if child.id not in hidden] for parent, some in found.items()}


async def _unjudged(tx: Connection, scene: Scene, batches: Mapping[str, Batch]) -> dict[str, list[Unjudged]]:
    """Return what was not judged: to who leads people of their own people, to others of everybody without names."""
    digests = {recipient: _leading(scene, recipient, batch) for recipient, batch in batches.items() if _waited(batch)}
    if not digests:
        return {}
    tenant = scene.subscription.tenant
    rows = await standing.unjudged(tx, tenant, scene.day)
    leading = {person for person in digests.values() if person is not None}
    teams = await company_store.teams_below(tx, tenant, leading, scene.day) if leading and rows else {}
    return {
        recipient: unjudged_of(rows, None if person is None else teams.get(person, set()))
        for recipient, person in digests.items()
    }


def _waited(batch: Batch) -> bool:
    return batch.kind == "digest"


def _leading(scene: Scene, recipient: str, batch: Batch) -> str | None:
    """Return the person whose people a digest is about; None: it is about everybody."""
    person = scene.subscription.person if scene.channel else recipient
    close = scene.channel or all(item.heard.role in CLOSE for item in batch.items)
    return person if close and person in scene.profiles else None
