"""The load of a set of episodes: counted by hand on few."""

from datetime import date

from services.rules.load import Days, Spoken, by_rule, by_week

MONDAY = date(2026, 3, 2)
LEADS = (("team_lead", "ada"), ("team_lead", "bob"), ("crm_owner", None))
EPISODES = [
    Spoken("stale", MONDAY, date(2026, 3, 12), silenced=False, heard=LEADS),
    Spoken("stale", date(2026, 3, 8), None, silenced=False, heard=LEADS[:1]),
    Spoken("late", date(2026, 3, 8), date(2026, 3, 9), silenced=True, heard=LEADS),
    Spoken("late", date(2026, 3, 9), None, silenced=True, heard=LEADS),
]


def test_who_is_told_of_how_many_a_week() -> None:
    first, second = by_week(EPISODES, Days(), 1)

    assert first == {
        "week": MONDAY,
        "opens": 3,
        "silenced": 1,
        "roles": {"crm_owner": 1, "team_lead": 2},
        "people": [
            {"role": "team_lead", "person": "ada", "opens": 2},
            {"role": "team_lead", "person": "bob", "opens": 1},
        ],
    }
    assert second == {"week": date(2026, 3, 9), "opens": 1, "silenced": 1, "roles": {}, "people": []}
    assert [week["week"] for week in by_week(EPISODES, Days(), 7)] == [date(2026, 3, 1), date(2026, 3, 8)]


def test_only_what_happened_on_the_days_counts() -> None:
    counts = by_rule(EPISODES, Days(date(2026, 3, 8), date(2026, 3, 9)))

    assert counts == {
        "stale": {"opens": 1, "silenced": 0, "closes": 0},
        "late": {"opens": 2, "silenced": 2, "closes": 1},
    }
    assert by_rule(EPISODES, Days(None, MONDAY))["stale"]["opens"] == 1
    assert by_week(EPISODES, Days(date(2026, 3, 10)), 1) == []


def test_an_episode_belongs_to_every_day_on_which_it_was_open() -> None:
    early, stays, *_ = EPISODES

    assert early.met(Days(date(2026, 3, 12), None))
    assert not early.met(Days(date(2026, 3, 13), None))
    assert early.met(Days(None, MONDAY))
    assert not early.met(Days(None, date(2026, 3, 1)))
    assert stays.met(Days(date(2026, 6, 1), date(2026, 6, 2)))
