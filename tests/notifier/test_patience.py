import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.patience import GIVE_UP_AFTER, LONGEST_WISH, next_try, switched_off, wish_of

BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)


def _tries(message: str) -> list[datetime]:
    """When a message is tried that is never taken."""
    tries, now = [BEGAN], BEGAN
    while (due := next_try(message, len(tries), began_at=BEGAN, now=now)) is not None:
        tries.append(due)
        now = due
    return tries


@given(st.text(min_size=1, max_size=20))
def test_pauses_grow_from_seconds_to_hours_and_end_within_three_days(message: str) -> None:
    tries = _tries(message)
    pauses = [after - before for before, after in itertools.pairwise(tries)]

    assert timedelta(seconds=4) <= pauses[0] <= timedelta(seconds=6)
    assert all(pause <= timedelta(hours=14.4) for pause in pauses)
    assert all(after > before for before, after in itertools.pairwise(pauses[:8]))
    assert timedelta(hours=50) < tries[-1] - BEGAN <= GIVE_UP_AFTER
    assert 14 <= len(tries) <= 18


def test_those_who_failed_at_once_do_not_come_back_at_once() -> None:
    due = {next_try(f"m{number}", 3, began_at=BEGAN, now=BEGAN) for number in range(50)}

    assert len(due) == 50


def test_the_same_attempt_has_the_same_pause_on_every_machine() -> None:
    assert next_try("m", 4, began_at=BEGAN, now=BEGAN) == next_try("m", 4, began_at=BEGAN, now=BEGAN)


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_a_shorter_one_or_for_ever() -> None:
    def due(wish: timedelta) -> datetime:
        found = next_try("m", 1, began_at=BEGAN, now=BEGAN, wish=wish)
        assert found is not None
        return found

    assert due(timedelta(minutes=10)) == BEGAN + timedelta(minutes=10)
    assert due(timedelta()) >= BEGAN + timedelta(seconds=4)
    assert due(timedelta(days=9)) == BEGAN + LONGEST_WISH


@pytest.mark.parametrize(
    ("header", "wish"),
    [
        (None, None),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("-7", None),
        ("soon", None),
        ("9" * 400, None),
        ("Mon, 02 Mar 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Mon, 02 Mar 2026 11:00:00 GMT", timedelta()),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, wish: timedelta | None) -> None:
    assert wish_of(header, BEGAN) == wish


def test_who_fails_for_five_days_is_switched_off() -> None:
    assert not switched_off(None, BEGAN)
    assert not switched_off(BEGAN, BEGAN + timedelta(days=5, seconds=-1))
    assert switched_off(BEGAN, BEGAN + timedelta(days=5))
