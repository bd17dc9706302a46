"""Goes back to what was known of a tenant at an instant, for a transaction that is taken back in the end.

On the event clock nothing is known of when something became known in that time: all is judged as it is now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

from services.aggregator.domain import links
from services.aggregator.domain.links import Seat, Terms
from services.aggregator.domain.windows import Deltas, PersonDay
from services.aggregator.store import knowing as store
from services.aggregator.store import links as link_store
from services.aggregator.store.evaluation import Case
from services.aggregator.store.knowing import Uncertain
from services.postgres import Connection
from services.rules.load import Days
from services.rules.shape import Rule

DAY: Final = timedelta(days=1)
PRESENT: Final = frozenset({"operations", "champions", "sponsors"})
"""Predicates that look at the present."""
PEOPLE: Final = frozenset({"person", "joiner", "one_and_done", "lapsed", "checkpoint"})
"""Predicates that look at single people, as the directory has them."""
OTHERS: Final = frozenset({"silent", "absent"})
"""Predicates that look at nothing of either."""
ONLY_NOW: Final = "inactive: only the present is known"


class _Person(NamedTuple):
    """Somebody of whom not all was known at once: since when they were, and how they count now."""

    user: str
    entered_at: datetime
    terms: Terms
    days: Sequence[PersonDay]


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of when something became known. ``days``: on which the past was rewritten."""

    tenant: str
    days: tuple[date, ...]
    uncertain: Uncertain
    by_login: bool

    people: Sequence[_Person] = ()

    @classmethod
    async def of(cls, tx: Connection, tenant: str, case: Case) -> Self:
        """Look through what is kept of ``tenant``; from then on ``tx`` sees what is known at the instant set last."""
        zone = case.settings["time_zone"]
        days, uncertain = await store.prepare(tx, tenant, zone, case.settings["first_day_of_week"])
        since = datetime.combine(days[0], time.min, ZoneInfo(zone)) if days else store.NEVER
        entered = await store.unsure(tx, tenant, since) if days else {}
        seats = await link_store.seats(tx, [(tenant, user) for user in entered])
        stand = zip(entered.items(), await store.days_of(tx, tenant, list(entered)), strict=True)
        people = [_Person(user, at, seats.get((tenant, user), Seat()).terms or (), now) for (user, at), now in stand]
        await store.stand_before(tx)
        return cls(tenant, tuple(days), uncertain, case.settings["connected_by"] == "login", people)

    def judged_on(self, days: Days) -> list[date]:
        """Return the days at whose beginning everything is judged: before and after each that rewrote the past."""
        found = {day for rewritten in self.days for day in (rewritten, rewritten + DAY)}
        first = set() if days.first is None or not found else {days.first}
        return sorted(first | {day for day in found if days.hold(day)})

    async def know(self, tx: Connection, before: datetime | None, at: datetime) -> None:
        """Go on from what was known ``before`` (None: nothing) to what was known at ``at``."""
        await store.know(tx, self.tenant, before or store.NEVER, at)
        days = await store.days_of(tx, self.tenant, [person.user for person in self.people])
        deltas = Deltas()
        for person, then in zip(self.people, days, strict=True):
            terms = person.terms if person.entered_at <= at else ()
            links.recount(deltas, self.tenant, person.days, then, old=person.terms, new=terms, final=-1)
        await store.take_away(tx, deltas.settle())

    def said(self, rules: Mapping[str, Rule], min_group: int, first: date | None) -> dict[str, str]:
        """Return of which of ``rules`` not all is known as it was then, and why."""
        found = {rule.id: self._of(rule, min_group, first) for rule in rules.values()}
        return {rule: said for rule, said in found.items() if said is not None}

    def _of(self, rule: Rule, min_group: int, first: date | None) -> str | None:
        if rule.predicate in PRESENT:
            return ONLY_NOW
        week1 = rule.predicate == "drop" and rule.params.get("baseline") == "week1"
        single, weeks = rule.predicate in PEOPLE or week1, rule.predicate in {"lapsed", "drop"}
        grouped = not single and rule.predicate not in OTHERS
        kept_from = self.uncertain.kept_from
        reasons = {
            "people were changed in the directory since": single and self.uncertain.directory,
            "what people did in a week was measured anew": weeks and not week1 and self.uncertain.weeks,
            "weeks in which other people counted are left out": grouped and min_group > 1 and self.uncertain.groups,
            "up to when logins were complete is not known": single and self.by_login,
            "when a silence was filled up is not known": self.uncertain.silences,
            f"events before {kept_from} are kept no more": single
            and kept_from is not None
            and (first is None or first < kept_from),
        }
        why = [reason for reason, true in reasons.items() if true]
        return f"approximate: {'; '.join(why)}" if why else None


def on_event_clock(rules: Mapping[str, Rule]) -> dict[str, str]:
    """Return what is said of ``rules`` where nothing is known of then."""
    return dict.fromkeys(rules, "approximate: on the event clock all is judged as it is known now")
