"""Names are taken out of where names stand, and of nothing else."""

from services.aggregator.domain.scrubbing import audience_without, evidence_without, renamed

AUDIENCE = [{"role": "manager", "person": "ada"}, {"role": "sponsor", "person": "bo"}]
EVIDENCE = {"people": ["ada", "bo"], "worst_teams": [{"team": "ada", "num": 1}], "num": 3}


def test_an_erased_name_leaves_lists_and_whoever_was_told() -> None:
    assert evidence_without(EVIDENCE, ["ada"], None)["people"] == ["bo"]
    assert audience_without(AUDIENCE, ["ada"], None) == [{"role": "manager"}, {"role": "sponsor", "person": "bo"}]


def test_a_team_that_is_called_like_the_person_stays() -> None:
    assert evidence_without(EVIDENCE, ["ada"], None)["worst_teams"] == EVIDENCE["worst_teams"]


def test_another_name_stands_where_the_first_one_stood() -> None:
    told = evidence_without(EVIDENCE, ["ada"], "x")

    assert told["people"] == ["x", "bo"]
    assert audience_without(AUDIENCE, ["ada"], "x")[0] == {"role": "manager", "person": "x"}
    assert evidence_without(told, ["ada"], "y") == told


def test_an_alert_about_somebody_is_the_same_alert_about_who_stands_in() -> None:
    mark = "user-not-connected\x1fada-wave\x1fuser\x1fada\x1f2026-03-02"

    assert renamed(mark, "ada", "x") == "user-not-connected\x1fada-wave\x1fuser\x1fx\x1f2026-03-02"
