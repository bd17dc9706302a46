"""``uptake reseal``: seals anew, with the first key of ``UPTAKE_SEAL_KEY``, whatever a key of old still seals."""

import asyncio
import json

import typer

from services import postgres, resealing
from services.sealing import drop_kept_key, seal_of
from services.settings import SettingError, Settings, load


def reseal() -> None:
    """Seal secrets and dead letters with the first key of UPTAKE_SEAL_KEY. Exit 1 if any do not open."""
    found = asyncio.run(_run(load()))
    typer.echo(json.dumps({name: sum(one[place] for one in found) for place, name in enumerate(found[0]._fields)}))
    if any(one.closed for one in found):
        raise typer.Exit(1)


async def _run(settings: Settings) -> list[resealing.Outcome]:
    if not settings.seal_key:
        raise SettingError("UPTAKE_SEAL_KEY is not set: the key that the installation keeps is the only one there is")
    connection = await postgres.connect(settings.database, name="uptake-reseal")
    try:
        seal = await seal_of(connection, settings.seal_key)
        found = [await resealing.reseal(connection, place, seal) for place in resealing.PLACES]
        if not any(one.closed for one in found):
            await drop_kept_key(connection)
    finally:
        await connection.close()
    return found
