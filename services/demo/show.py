"""The performance: sets the tenant up, replays the story in its own order, reads back what the product made of it.

The replay pauses where a wave or a week is judged until everything sent is counted, so no alert is raised on events
that are still on their way here. What arrives late in the story arrives late here too.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from time import perf_counter
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from services import simulator
from services.demo import page
from services.demo.stack import Stack
from services.demo.verdict import compare, counts, told
from services.simulator import Story, plot

TENANT: Final = "demo"
BATCH: Final = 500
SENDERS: Final = 4
WIDTH: Final = 100

Event = dict[str, Any]


async def tell(ready: dict[str, str], *, quiet: bool) -> dict[str, Any]:
    """Tell the story to the stack at ``ready`` (``api``, ``ingest``, ``admin_key``), show and return what it found.

    Raises:
        DemoError: the stack did not do its part.
    """
    began = perf_counter()
    console = Console(quiet=quiet, highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    story = simulator.stage()
    console.print(page.opening(story))
    async with Stack(ready, TENANT) as stack:
        making = asyncio.to_thread(list, simulator.events(story))
        _, events = await asyncio.gather(_set_up(stack, story), making)
        await _replay(stack, events, console)
        shown = await _read(stack)
    seconds = round(perf_counter() - began, 1)
    verdict = compare(simulator.known_alerts(story), told(shown.alerts))
    summary = {
        "events": len(events),
        "people": len(story.people),
        "windows": sum(len(windows) for windows in shown.windows.values()),
        "alerts": counts(shown.alerts),
        "seconds": seconds,
    }
    for part in page.closing(story, ready, shown, verdict, seconds):
        console.print(part)
    return summary


async def _set_up(stack: Stack, story: Story) -> None:
    await stack.open_tenant(
        {
            "name": "A simulated rollout",
            "time_zone": plot.TIME_ZONE,
            "clock": "event",
            "day_counting": "working",
            "holidays": [day.isoformat() for day in plot.HOLIDAYS],
            "connected_by": "activity",
            "roles": {role: {"cadence": "per_week", "per_week": 3} for role in sorted({p.role for p in story.people})},
        }
    )
    await stack.import_people(simulator.people_csv(story))
    for body in simulator.wave_bodies():
        await stack.declare_wave(body)


async def _replay(stack: Stack, events: Sequence[Event], console: Console) -> None:
    """Post every event."""
    columns = (TextColumn("  {task.description}"), BarColumn(34), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("replaying", total=len(events))
        for part in _acts(events):
            progress.update(task, description=page.week_of(part[0]["time"]))
            batches = _batches(part)
            await asyncio.gather(*(_send(stack, batches, progress, task) for _ in range(SENDERS)))
            await stack.settle()


def _acts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Cut ``events`` where the first one is from after the next instant at which anything is judged."""
    start = 0
    pending = iter(simulator.checkpoints())
    checkpoint = next(pending, None)
    for position, event in enumerate(events):
        if checkpoint is not None and event["time"] >= checkpoint:
            yield events[start:position]
            start = position
            checkpoint = next((later for later in pending if later > event["time"]), None)
    yield events[start:]


def _batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    rest = iter(events)
    while batch := list(islice(rest, BATCH)):
        yield batch


async def _send(stack: Stack, batches: Iterator[list[Event]], progress: Progress, task: TaskID) -> None:
    for batch in batches:
        await stack.post(batch)
        progress.advance(task, len(batch))


async def _read(stack: Stack) -> page.Shown:
    first, last = plot.FIRST_DAY, plot.LAST_NIGHT - timedelta(days=1)
    windows = {name: await stack.windows(name, first, last) for name in ("tenant", "team", "role")}
    return page.Shown(windows, await stack.alerts(), await stack.status())
