"""Changes of alerts as somebody may see them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from schemas.subscriptions import CLOSING
from services.hearing.store import House
from services.notifier.domain.shape import Change
from services.notifier.domain.telling import ended
from services.postgres import Connection
from services.sight import Sight, curtain_of, sees, told


async def seen(
    tx: Connection, house: House, view: Sight, changes: Sequence[Change], known: AbstractSet[str]
) -> list[Change]:
    """Return ``changes`` as they may be seen. Of ``known`` alerts that may not be any more: that they ended."""
    curtain = await curtain_of(tx, house, [change.body for change in changes])
    shown = []
    for change in changes:
        if sees(view, change.body, curtain):
            shown.append(replace(change, body=told(change.body, curtain, individuals=view.individuals)))
        elif change.kind in CLOSING and change.alert in known:
            shown.append(replace(change, body=ended(change.body)))
    return shown
