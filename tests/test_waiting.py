"""A wait of the tests that never ends says what it waited for."""

import pytest

from tests import patience
from tests.patience import settled, until, wait_until


async def test_what_does_not_happen_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.1)
    home: list[str] = []

    with pytest.raises(AssertionError, match='lambda: "cows" in home'):
        await until(lambda: "cows" in home)
    with pytest.raises(AssertionError, match='lambda: "cows" in home'):
        wait_until(lambda: "cows" in home)
    with pytest.raises(AssertionError, match="'lag': 7"):
        settled(lambda: {"settled": False, "lag": 7})


async def test_what_was_found_is_returned_whether_it_is_awaited_or_not() -> None:
    found = iter([0, 0, 7] * 3)

    async def come() -> int:
        return next(found)

    assert await until(come) == await until(lambda: next(found)) == wait_until(lambda: next(found)) == 7
