"""How long a tenant rests after it was worked on: bursts are let through, in the long run the rest is kept."""

from services.aggregator.leading import LENIENCE, Rests


def test_work_in_a_burst_waits_for_no_more_than_the_least() -> None:
    rests = Rests()
    rests.worked("acme", 100.0, 1.0, rest=4.0, least=0.2)

    assert not rests.over("acme", 100.1)
    assert rests.over("acme", 100.2)


def test_in_the_long_run_work_takes_no_more_than_its_share() -> None:
    rests, now, worked = Rests(), 0.0, 0.0
    while now < 100 * LENIENCE:
        while not rests.over("acme", now):
            now += 0.1
        now += 2.0
        worked += 2.0
        rests.worked("acme", now, 2.0, rest=4.0, least=0.2)

    assert 0.2 <= worked / now <= 0.2 + 0.01


def test_what_rested_for_long_owes_nothing() -> None:
    rests = Rests()
    for _ in range(30):
        rests.worked("acme", 100.0, 2.0, rest=4.0, least=0.2)

    assert not rests.over("acme", 100.3)

    rests.worked("acme", 2000.0, 2.0, rest=4.0, least=0.2)

    assert rests.over("acme", 2000.2)
