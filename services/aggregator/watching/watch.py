"""Everything that is judged beside the launches and the weeks since them."""

from services.aggregator.domain.scope import Scope
from services.aggregator.gathering import Ground
from services.aggregator.store import series
from services.aggregator.watching import lives, operations, weeks
from services.aggregator.watching.shape import Watched
from services.postgres import Connection


async def watch(tx: Connection, ground: Ground, scope: Scope) -> Watched:
    """Judge whom ``scope`` holds; nothing else is read."""
    if not scope.everything and not (scope.groups or scope.waves or scope.users):
        return Watched()
    known = await series.known(tx, ground.tenant)
    found = await weeks.watch(tx, ground, known, scope)
    lived = await lives.watch(tx, ground, known, scope)
    return found + lived + await operations.watch(tx, ground, scope, found.revised)
