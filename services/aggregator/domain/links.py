"""Identities: which person an identity is, and what changes in the windows when that changes.

A source names who acted by its own key. Such an identity is a person of the directory, one of several identities of a
person, or nobody known. Which of these is a function of the decisions, the directory and the e-mails seen, and of
nothing else: not of the order in which they came.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, groupby, islice
from typing import Final, NamedTuple, TypeAlias

from services.aggregator.domain import ranges, windows
from services.aggregator.domain.windows import ACTIVE, LENGTHS, LOGGED_IN, Deltas, PersonDay, Spans, Term

MOST_MAILS: Final = 8
"""An identity seen with more e-mails than this is shared by many people: no e-mail says who it is."""

ALIAS, EXTERNAL_ID, EMAIL, SELF, AMBIGUOUS = "alias", "external_id", "email", "self", "ambiguous"

Terms: TypeAlias = tuple[Term, ...]


class Evidence(NamedTuple):
    """What is known of who an identity is.

    ``decided``: whom somebody decided it to be (itself: nobody else); ``listed``: it is a person of the directory;
    ``by_external_id`` and ``by_mail``: the people found so, each by whom they count for; ``mails``: how many it showed.
    """

    decided: str | None = None
    listed: bool = False
    by_external_id: tuple[str, ...] = ()
    by_mail: tuple[str, ...] = ()
    mails: int = 0
    external_id: str | None = None
    mail: str | None = None


class Link(NamedTuple):
    """Whom an identity counts for, and why; without ``user``: who all could be meant."""

    user: str | None
    how: str
    candidates: tuple[str, ...] = ()


class Seat(NamedTuple):
    """How an identity is counted.

    ``terms`` None: it is no person of the directory. ``link`` None: it is one identity, for itself. ``keys``: what
    others are recognised by as this person.
    """

    terms: Terms | None = None
    link: Link | None = None
    keys: tuple[str, ...] | None = None

    @property
    def user(self) -> str | None:
        """Whom the identity's days are kept apart for; None: for nobody, they count as they are."""
        return None if self.link is None else self.link.user

    @property
    def mapped(self) -> bool:
        """Whether its events count for somebody."""
        return self.terms is not None or (self.link is not None and self.link.how in (ALIAS, EXTERNAL_ID, EMAIL))


def few(seen: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return of (tenant, identity, e-mail) no more of each identity than it takes to see that it is a shared one.

    Up to MOST_MAILS of them may be known already.
    """
    ordered = sorted({(tenant, identity, mail.strip().lower()) for tenant, identity, mail in seen})
    groups = groupby(ordered, key=lambda one: one[:2])
    return [one for _, group in groups for one in islice(group, 2 * MOST_MAILS + 1)]


def decide(identity: str, evidence: Evidence) -> Link | None:
    """Return whom ``identity`` counts for, if not for itself."""
    if evidence.decided is not None:
        return None if evidence.decided == identity else Link(evidence.decided, ALIAS)
    if evidence.listed:
        return None
    for people, how in ((evidence.by_external_id, EXTERNAL_ID), (evidence.by_mail, EMAIL)):
        if len(people) == 1 and (how != EMAIL or evidence.mails <= MOST_MAILS):
            return Link(people[0], how)
        if people:
            return Link(None, AMBIGUOUS, people)
    return None


def seat(identity: str, evidence: Evidence, terms: Terms | None, *, followed: bool) -> Seat:
    """Return how ``identity`` is to be counted; ``followed``: other identities count for it."""
    link = decide(identity, evidence)
    elsewhere = link is not None and link.user is not None
    if link is None and followed:
        link = Link(identity, SELF)
    if not evidence.listed:
        return Seat(None, link)
    keys = (evidence.external_id or "", evidence.mail or "", evidence.decided or "")
    return Seat(() if elsewhere else terms, link, keys)


def recount(
    deltas: Deltas,
    tenant: str,
    before: Sequence[PersonDay],
    after: Sequence[PersonDay],
    *,
    old: Sequence[Term],
    new: Sequence[Term],
    final: int,
) -> None:
    """Count a person with the days ``after`` under ``new`` terms, who was counted with those ``before`` under ``old``.

    Both ascending; days may be left out that are further than REACH from every one that differs.
    """
    stay = set(old) & set(new)
    if stay and before != after:
        spans = difference(before, after)
        for term in stay:
            deltas.add(tenant, term, spans, sign=1, final=final)
    gone, come = [term for term in old if term not in stay], [term for term in new if term not in stay]
    if gone:
        windows.move(deltas, tenant, before, old=gone, new=(), final=final)
    if come:
        windows.move(deltas, tenant, after, old=(), new=come, final=final)


def difference(before: Sequence[PersonDay], after: Sequence[PersonDay]) -> Spans:
    """Return what a person adds to windows with the days ``after`` instead of those ``before``."""
    spans = Spans()
    active = [day.day for day in before], [day.day for day in after]
    logged_in = [day.day for day in before if day.logged_in], [day.day for day in after if day.logged_in]
    for field, (old, new) in ((ACTIVE, active), (LOGGED_IN, logged_in)):
        if old == new:
            continue
        kept = sorted(set(old) & set(new))
        for amount, days in ((-1, sorted(set(old) - set(new))), (1, sorted(set(new) - set(old)))):
            for length in LENGTHS if days else ():
                for span in ranges.newly_covered(kept, days, length):
                    spans.put(length, span, field, amount)
    amounts: dict[int, list[int]] = {}
    for sign, day in chain(((-1, day) for day in before), ((1, day) for day in after)):
        sums = amounts.setdefault(day.day, [0, 0])
        sums[0] += sign * day.actions
        sums[1] += sign
    for number, (actions, user_days) in amounts.items():
        spans.put_day(number, actions, user_days)
    return spans
