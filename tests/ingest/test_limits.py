"""How fast a source may send, and whose turn it is when much waits for the log."""

import random

import pytest

from services.ingest.limits import Limits, Shares


def test_a_source_may_burst_for_two_seconds_and_then_sends_at_its_rate() -> None:
    limits = Limits(10)

    burst = [limits.wait("crm", 0, 100.0) for _ in range(21)]
    steady = [limits.wait("crm", 0, 100.001 + n / 10) for n in range(1, 30)]

    assert [bool(wait) for wait in burst] == [False] * 20 + [True]
    assert burst[-1] == pytest.approx(0.1)
    assert not any(steady)


def test_no_clock_and_no_order_of_sources_takes_more_than_the_rate() -> None:
    limits, rng = Limits(5), random.Random(3)
    taken = dict.fromkeys("abc", 0)
    now = 0.0
    for _ in range(5000):
        now = max(0.0, now + rng.uniform(-0.05, 0.07))  # a wall clock may step back
        name = rng.choice("abc")
        taken[name] += not limits.wait(name, 50 if name == "a" else 0, now)

    highest = 5000 * 0.07
    assert all(count <= 10 + 5 * highest for name, count in taken.items() if name != "a")
    assert taken["a"] <= 100 + 50 * highest


def test_a_refused_source_is_told_truly_when_to_come_back() -> None:
    limits = Limits(1)
    while not (wait := limits.wait("crm", 0, 50.0)):
        pass

    assert limits.wait("crm", 0, 50.0 + wait * 0.9)
    assert limits.wait("crm", 0, 50.0 + wait + 0.01) == 0


def test_buckets_that_are_full_again_are_forgotten() -> None:
    limits = Limits(10)
    for number in range(20_000):
        limits.wait(f"source-{number}", 0, number / 10)

    assert len(limits) < 10_000
    assert not limits.wait("source-19999", 0, 2000.0)


def test_a_sweep_forgives_nobody_who_is_limited() -> None:
    limits = Limits(1)
    while not limits.wait("greedy", 0, 0.0):
        pass
    for number in range(10_000):
        limits.wait(f"source-{number}", 1000, number / 100_000)

    assert limits.wait("greedy", 0, 0.1)


def test_who_holds_more_than_an_equal_share_is_limited_once_half_is_full() -> None:
    shares = Shares(1000)
    shares.hold("heavy", 450)
    shares.hold("light", 10)
    assert not shares.crowds("heavy")

    shares.hold("heavy", 100)

    assert shares.crowds("heavy")
    assert not shares.crowds("light")
    assert not shares.crowds("who comes next")
    shares.release("heavy", 100)
    assert not shares.crowds("heavy")


def test_one_alone_may_have_three_quarters() -> None:
    shares = Shares(1000)
    shares.hold("only", 750)
    assert not shares.crowds("only")

    shares.hold("only", 1)

    assert shares.crowds("only")


def test_what_is_released_leaves_nothing_behind() -> None:
    shares, rng = Shares(1000), random.Random(5)
    held = [(rng.choice("abcd"), rng.randrange(0, 50)) for _ in range(500)]
    for one in held:
        shares.hold(*one)
    for one in rng.sample(held, len(held)):
        shares.release(*one)

    shares.hold("z", 750)
    assert not shares.crowds("z")  # as if there had never been another
