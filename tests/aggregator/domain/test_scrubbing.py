"""Names are taken out of whatever was written down, and of nothing else."""

from services.aggregator.domain.scrubbing import renamed, scrub

EVIDENCE = {
    "people": ["ada", "bo"],
    "worst_teams": [{"team": "ada", "num": 1}],
    "audience": [{"role": "manager", "person": "ada"}, {"role": "sponsor", "person": "bo"}],
    "title": "ada is a word in this text",
    "num": 3,
}


def test_an_erased_name_leaves_lists_and_whoever_was_told() -> None:
    assert scrub(EVIDENCE, ["ada"], None) == {
        "people": ["bo"],
        "worst_teams": [{"team": None, "num": 1}],
        "audience": [{"role": "manager"}, {"role": "sponsor", "person": "bo"}],
        "title": "ada is a word in this text",
        "num": 3,
    }


def test_another_name_stands_where_the_first_one_stood() -> None:
    told = scrub(EVIDENCE, ["ada"], "x")

    assert told["people"] == ["x", "bo"]
    assert told["audience"][0] == {"role": "manager", "person": "x"}
    assert scrub(told, ["ada"], "y") == told


def test_an_alert_about_somebody_is_the_same_alert_about_who_stands_in() -> None:
    mark = "user-not-connected\x1fada-wave\x1fuser\x1fada\x1f2026-03-02"

    assert renamed(mark, "ada", "x") == "user-not-connected\x1fada-wave\x1fuser\x1fx\x1f2026-03-02"
