"""An evaluator and a notifier that die by themselves at a site; without one they live until they are killed."""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, NamedTuple

from services import postgres
from services.aggregator.evaluator import Evaluator
from services.aggregator.store import evaluation
from services.notifier import __main__ as notifier
from services.notifier.planner import Planner
from services.notifier.sender import Sender
from services.notifier.store import subscriptions
from services.observability import start_logging
from services.settings import load


class Site(NamedTuple):
    """Where somebody dies: before or ``after`` the call of a function."""

    owner: Any
    name: str
    after: bool


EVALUATOR = {
    "judged, not committed": Site(evaluation, "done", after=True),
    "judged and committed": Site(Evaluator, "evaluate", after=True),
}
NOTIFIER = {
    "sent, not noted": Site(Sender, "_note", after=False),
    "planned, not committed": Site(subscriptions, "move", after=True),
    "planned and committed": Site(Planner, "plan", after=True),
    "taken, not sent": Site(Sender, "_attempt", after=False),
    "sent and noted": Site(Sender, "_note", after=True),
}


def evaluate(site: str | None) -> None:
    """Live as an evaluator."""
    start_logging("evaluator", "INFO")
    _arm(EVALUATOR, site)
    asyncio.run(_evaluate())


def notify(site: str | None) -> None:
    """Live as a notifier."""
    _arm(NOTIFIER, site)
    notifier.main()


async def _evaluate() -> None:
    settings = load()
    pool = await postgres.wait_for_pool(settings.database, name="evaluator", max_size=3)
    await Evaluator(pool, settings.database, settings, lambda: datetime.now(UTC)).run(asyncio.Event())


def _arm(sites: dict[str, Site], name: str | None) -> None:
    if name is not None:
        site = sites[name]
        setattr(site.owner, site.name, _deadly(getattr(site.owner, site.name), after=site.after))


def _deadly(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    @wraps(call)
    async def called(*arguments: object, **options: object) -> object:
        if after:
            await call(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("dead")

    return called
