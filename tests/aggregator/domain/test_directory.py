"""In which groups a person counts, against a plain calendar."""

import itertools
import random
from datetime import date, timedelta

from services.aggregator.domain.directory import Licence, Spell, day_number, terms_of

START = date(2026, 1, 1)
DAYS = [START + timedelta(days=n) for n in range(40)]


def test_terms_are_the_days_of_a_human_spell_that_a_licence_covers() -> None:
    for seed in range(500):
        rng = random.Random(seed)
        cuts = [START, *sorted(rng.sample(DAYS[1:], rng.randint(0, 4))), None]
        spells = [
            Spell(start, end, rng.choice(["A", "B", None]), rng.choice(["x", None]), rng.choice(["human", "service"]))
            for start, end in itertools.pairwise(cuts)
            if start is not None
        ]
        bounds = sorted(rng.sample(DAYS, 2 * rng.randint(0, 3)))
        licences = [Licence(*bounds[n : n + 2]) for n in range(0, len(bounds), 2)]
        if licences and rng.random() < 0.5:
            licences[-1] = licences[-1]._replace(last=None)
        rng.shuffle(licences)

        terms = terms_of(licences, rng.sample(spells, len(spells)))

        for day in DAYS:
            spell = next(s for s in spells if s.valid_from <= day and (s.valid_to is None or day < s.valid_to))
            licensed = any(one.first <= day and (one.last is None or day <= one.last) for one in licences)
            groups = {("tenant", "all"), ("team", spell.team), ("role", spell.role)}
            expected = {group for group in groups if group[1] and licensed and spell.kind == "human"}
            found = [(t.dimension, t.key) for t in terms if t.start <= day_number(day) < t.end]
            assert sorted(found) == sorted(expected), (seed, day)


def test_licences_that_adjoin_are_one_term() -> None:
    spells = [Spell(START, None, "A", None)]
    parts = [Licence(DAYS[0], DAYS[4]), Licence(DAYS[5], DAYS[9]), Licence(DAYS[20], None)]

    assert terms_of(parts, spells) == terms_of([Licence(DAYS[0], DAYS[9]), parts[2]], spells)
    assert len(terms_of(parts, spells)) == 4
