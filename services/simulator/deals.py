"""Deals: who keeps which, and how. Those of the team of the masquerade only look kept: no step, no amount, long due."""

from datetime import timedelta
from itertools import cycle
from random import Random
from typing import Any, Final

from services.simulator import cast, plot
from services.simulator.cast import Person, Story

DEAL: Final = "opportunity"
EACH: Final = 3
"""How many deals an account executive keeps, from the first day of use to the end of the story."""
STAGES: Final = ("Qualification", "Needs Analysis", "Proposal/Price Quote", "Negotiation/Review")
DECIDED: Final = plot.LAST_NIGHT + timedelta(weeks=4)
LONG_DECIDED: Final = plot.FIRST_DAY + timedelta(weeks=3)
"""The day by which a deal is to be won: after the story; that of a deal nobody keeps passes early in it."""


class Desk:
    """The deals that one person works on, each in its turn: their own, or, of who leads a team, those of its people.

    ``new``: what the person enters on the first day of use.
    """

    def __init__(self, story: Story, person: Person) -> None:
        own = _deals_of(person)
        team = [deal for each in story.team(person.team) for deal in _deals_of(each)]
        mine = team if person.role == cast.LEAD else own
        kept = person.team != plot.MASQUERADE
        self._state, self._decided = ("filled", DECIDED) if kept else ("placeholder", LONG_DECIDED)
        self._turns = cycle(mine) if mine else None
        self.new = [self._entered(person, deal) for deal in own]

    def turn(self, kind: str, rng: Random) -> dict[str, Any] | None:
        """Return what an action of ``kind`` says of the deal whose turn it is; None: there is none."""
        if self._turns is None:
            return None
        said: dict[str, Any] = {"object": DEAL, "record": next(self._turns)}
        if kind == "crm.record.stage_changed":
            said["stage"] = rng.choice(STAGES)
        if kind != "crm.record.viewed":
            said["fields"] = {"next_step": self._state}
        return said

    def filled(self, *names: str) -> dict[str, str]:
        """Return the states of fields as this person leaves them."""
        return dict.fromkeys(names, self._state)

    def _entered(self, person: Person, deal: str) -> dict[str, Any]:
        return {
            "object": DEAL,
            "record": deal,
            "owner": person.user,
            "stage": STAGES[0],
            "close_date": self._decided.isoformat(),
            "fields": {**self.filled("amount", "next_step"), "close_date": "filled"},
        }


def _deals_of(person: Person) -> list[str]:
    kept = person.role == cast.EXECUTIVE and person.comes is not None
    return [f"opp-{person.user}-{number}" for number in range(1, EACH + 1)] if kept else []
