"""The spool on a real disk: what it took survives, in order, whatever happens to the file or the process."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.events import Record
from schemas.topics import DEAD_LETTERS, EVENTS
from services.ingest.spool import Entry, Spool, SpoolError
from services.ingest.spool_file import SpoolFile
from tests.counts import say

MOST = 1 << 20


def entry(number: int, size: int = 100, topic: str = EVENTS) -> Entry:
    headers = [("ce_id", f"e{number}".encode()), ("binary", bytes(range(256)))]
    return Entry(topic, 1_700_000_000_000 + number, Record(f"acme\0u{number}".encode(), os.urandom(size), headers))


@asynccontextmanager
async def spool(state: Path, most: int = MOST, damage: list[tuple[int, int]] | None = None) -> AsyncIterator[Spool]:
    told = [] if damage is None else damage
    made = Spool(state, most=most, told=lambda files, lost: told.append((files, lost)))
    made.start()
    try:
        yield made
    finally:
        await made.stop()


async def content(of: Spool) -> list[Entry]:
    return [found for _, found in await of.read(0, 10_000, 1 << 30)]


async def test_what_was_kept_is_read_again_in_order_after_a_restart(state: Path) -> None:
    entries = [entry(number, topic=DEAD_LETTERS if number % 3 else EVENTS) for number in range(50)]
    async with spool(state) as first:
        for one in entries[:20]:
            await first.keep([one])
        await first.keep(entries[20:])
        measured = first.measure
    async with spool(state) as second:
        found = await content(second)

        assert found == entries
        assert second.measure == measured
        assert (measured.events, measured.oldest_ms) == (50, entries[0].received_ms)
    assert stat.S_IMODE((state / "spool.sqlite").stat().st_mode) == 0o600


async def test_only_what_is_taken_out_is_gone(state: Path) -> None:
    entries = [entry(number) for number in range(10)]
    async with spool(state) as mine:
        await mine.keep(entries)
        rows = await mine.read(0, 4, 1 << 30)
        await mine.remove([number for number, _ in rows if number % 2])

        assert [found for _, found in rows] == entries[:4]
        assert await content(mine) == [entries[1], *entries[3:]]
        assert mine.measure.events == 8
        assert mine.measure.oldest_ms == entries[1].received_ms
        await mine.remove([number for number, _ in await mine.read(0, 99, 1 << 30)])
        assert mine.measure == (0, 0, None)


async def test_a_read_brings_at_least_one_entry_and_no_more_bytes_than_asked_for(state: Path) -> None:
    async with spool(state) as mine:
        await mine.keep([entry(number, size=5000) for number in range(5)])

        assert len(await mine.read(0, 100, 10)) == 1
        assert len(await mine.read(0, 100, 10_000)) == 2
        assert len(await mine.read(3, 100, 1 << 20)) == 2


async def test_a_full_spool_refuses_what_does_not_fit_and_takes_again_when_there_is_room(state: Path) -> None:
    async with spool(state, most=10_000) as mine:
        await mine.keep([entry(1, size=9_000)])
        with pytest.raises(SpoolError, match="full"):
            await mine.keep([entry(2, size=2_000)])
        await mine.keep([entry(3, size=10)])
        await mine.remove([1])
        await mine.keep([entry(4, size=8_000)])

        assert [found.received_ms % 1000 for found in await content(mine)] == [3, 4]
        assert mine.wrong() is None
    async with spool(state, most=8_000) as smaller:
        await smaller.read(0, 1, 1)
        assert smaller.wrong() == "is full"


async def test_many_who_wait_share_few_writes(state: Path) -> None:
    async with spool(state) as mine:
        began = asyncio.get_running_loop().time()
        for number in range(20):
            await mine.keep([entry(number)])
        alone = (asyncio.get_running_loop().time() - began) / 20
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(mine.keep([entry(number)]) for number in range(1000)))
        together = asyncio.get_running_loop().time() - began

        assert mine.measure.events == 1020
        assert together < max(1.0, 500 * alone)


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(os.urandom(20_000)),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["noise", "cut short", "emptied"],
)
async def test_a_file_that_is_no_spool_any_more_is_put_aside_and_told(state: Path, harm: object) -> None:
    damage: list[tuple[int, int]] = []
    async with spool(state) as first:
        await first.keep([entry(number) for number in range(200)])
    path = state / "spool.sqlite"
    was_empty = (harm(path), path.stat().st_size == 0)[1]  # type: ignore[operator]
    async with spool(state, damage=damage) as second:
        await second.keep([entry(300)])
        assert [found.received_ms % 1000 for found in await content(second)][-1] == 300
        assert second.wrong() is None

    assert was_empty or damage[0][0] == 1
    assert was_empty or (state / "spool-damaged-1.sqlite").exists()


async def test_a_flipped_byte_in_one_entry_costs_that_entry_only(state: Path) -> None:
    damage: list[tuple[int, int]] = []
    entries = [entry(number) for number in range(20)]
    async with spool(state) as first:
        await first.keep(entries)
    path = state / "spool.sqlite"
    data = path.read_bytes()
    place = data.index(entries[7].record.value)
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    async with spool(state, damage=damage) as second:
        assert await content(second) == entries[:7] + entries[8:]
        assert second.measure.events == 19

    assert damage == [(1, 1)]


async def test_a_directory_that_cannot_be_written_refuses_and_heals(state: Path) -> None:
    home = state / "state"
    home.write_text("a file where a directory should be")
    async with spool(home) as mine:
        with pytest.raises(SpoolError):
            await mine.keep([entry(1)])
        assert mine.wrong()
        home.unlink()
        await mine.keep([entry(2)])
        assert mine.wrong() is None
        assert len(await content(mine)) == 1


async def test_a_spool_that_another_process_owns_is_refused(state: Path) -> None:
    async with spool(state) as first:
        await first.keep([entry(1)])
        async with spool(state) as second:
            with pytest.raises(SpoolError, match="locked"):
                await second.keep([entry(2)])
        await first.keep([entry(3)])
        assert first.measure.events == 2


_CHILD = """
import asyncio, sys
from pathlib import Path
from services.ingest.spool import Entry, Spool
from schemas.events import Record

async def main():
    spool = Spool(Path(sys.argv[1]), most=1 << 30, told=lambda *_: None)
    spool.start()
    async def sender(name):
        for number in range(10**6):
            await spool.keep([Entry("t", 1, Record(b"k", f"{name}-{number}".encode() * 20, []))])
            print(f"{name}-{number}", flush=True)
    await asyncio.gather(*(sender(name) for name in "abcdefgh"))

asyncio.run(main())
"""


def _what_it_was_told(state: Path) -> list[str]:
    """Return what a process was told is kept, until it was killed amid its work."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(state)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(300)]
    child.send_signal(signal.SIGKILL)
    told += list(child.stdout)
    child.wait()
    child.stdout.close()
    return [line.strip() for line in told if line.endswith("\n")]


@pytest.mark.faults
async def test_whatever_a_killed_process_was_told_is_kept_is_kept(state: Path) -> None:
    told = [name for _ in range(3) for name in await asyncio.to_thread(_what_it_was_told, state)]
    async with spool(state, most=1 << 30) as mine:
        kept = {found.record.value for found in await content(mine)}

    assert len(told) >= 900
    assert {name.encode() * 20 for name in told} - kept == set()
    say(f"{len(told)} told to be kept, 3 kills, 0 lost")


async def test_numbers_of_a_file_that_was_put_aside_take_nothing_out_of_the_next_one(state: Path) -> None:
    old = SpoolFile(state)
    old.add([entry(number) for number in range(10)])
    numbers = [number for number, _ in old.read(0, 10, 1 << 30)]
    old.close()
    (state / "spool.sqlite").write_bytes(os.urandom(20_000))

    old.add([entry(number) for number in range(20, 25)])
    old.remove(numbers)
    kept = old.read(max(numbers), 10, 1 << 30)
    old.remove([number for number, _ in kept[:2]])

    assert old.damaged == 1
    assert [found.received_ms % 1000 for _, found in kept] == [20, 21, 22, 23, 24]
    assert [found.received_ms % 1000 for _, found in old.read(0, 10, 1 << 30)] == [22, 23, 24]
    assert old.measure.events == 3
    old.close()
