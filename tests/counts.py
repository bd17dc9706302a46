"""What a fault run counted. It is shown at the end of the run, whichever core the test ran on."""

from collections.abc import Callable

_keepers: list[Callable[[str, object], None]] = []


def keep_with(keeper: Callable[[str, object], None] | None) -> None:
    """From now on keep counts with ``keeper``; None: the test has ended."""
    _keepers[:] = [] if keeper is None else [keeper]


def say(line: str) -> None:
    """Keep what the running test counted."""
    for keeper in _keepers:
        keeper("counted", line)
