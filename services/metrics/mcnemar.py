"""McNemar's test, exact and one-sided: did the same people stop, or is it chance?

Of the people who changed between two weeks each is as likely to have stopped as to have started, if nothing is behind.
"""

from fractions import Fraction
from functools import lru_cache


@lru_cache(maxsize=4096)
def p_value(lost: int, gained: int) -> Fraction:
    """Return the probability that at least ``lost`` of ``lost + gained`` fair coins fall on one given side."""
    changed = lost + gained
    term, tail = 1, 0
    for fewer in range(gained + 1):
        tail += term
        term = term * (changed - fewer) // (fewer + 1)
    return Fraction(tail, 1 << changed)
