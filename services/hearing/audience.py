"""Who hears of an alert: the roles of its audience become people, as the directory has them at the moment of telling.

Nobody is left out in silence: a role that nobody holds is spoken for by its contact, and an alert that finds nobody at
all goes to the owner of the CRM, else to operations. Single persons are named to those above them only, and only where
the tenant lets them be named; to everybody else they are a number.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from services.hearing.shape import Alert, Company, Louder

LAST_RESORT: Final = ("crm_owner", "operations")
"""Who hears of what would reach nobody, in this order."""
ABOVE: Final = "manager_of_manager"
"""What the managers of managers are called."""
CLOSE: Final = frozenset({"manager", ABOVE, "team_lead", "champion"})
"""Roles so close to single persons that a number would name them."""
EMERGENCY: Final = "wave-connection-d3-emergency"
_PERSON_RULES: Final = frozenset({"user-not-connected-d2", "user-never-logged-in-d3"})


class Heard(NamedTuple):
    """Somebody who hears of an alert. ``named``: its person may be named to them. ``mail``: an address, no person."""

    recipient: str
    role: str
    named: bool = False
    mail: bool = False


def hearers(alert: Alert, company: Company, only: Sequence[str] = ()) -> list[Heard]:
    """Return who hears of ``alert`` in the roles of ``only`` (empty: all), everybody once."""
    if alert.id in company.hidden:
        return []
    roles = [str(heard["role"]) for heard in alert.audience]
    left = [role for role in roles if not spared(alert, role, company.louder)]
    found: dict[str, Heard] = {}
    for role in left:
        _add(found, _of_role(alert, role, company))
    for role in LAST_RESORT:
        if not found and left == roles:
            _add(found, _contacts(role, company))
    above = company.above(alert.subject_key) if alert.subject_kind == "user" and company.names_people else ()
    heard = [one._replace(named=not one.mail and one.recipient in above) for one in found.values()]
    return [one for one in heard if not only or one.role in only]


def spared(alert: Alert, role: str, louder: Iterable[Louder]) -> bool:
    """Whether the emergency of a wave tells the sponsor what the number of its people would."""
    if role != "sponsor" or alert.rule not in _PERSON_RULES:
        return False
    return any(one.rule == EMERGENCY and one.wave == alert.wave for one in louder)


def _add(found: dict[str, Heard], more: Iterable[Heard]) -> None:
    for heard in more:
        found.setdefault(heard.recipient, heard)


def _of_role(alert: Alert, role: str, company: Company) -> Iterator[Heard]:
    if role in CLOSE and alert.subject_kind == "user" and not company.names_people:
        return
    people = [person for person in _people(alert, role, company) if company.reachable(person)]
    if people:
        yield from (Heard(person, role) for person in people)
    else:
        yield from _contacts(role, company)


def _contacts(role: str, company: Company) -> Iterator[Heard]:
    for kind, address in company.contacts.get(role, ()):
        if kind == "email":
            yield Heard(address, role, mail=True)
        elif company.reachable(address):
            yield Heard(address, role)


def _people(alert: Alert, role: str, company: Company) -> list[str]:
    """Return who holds ``role`` towards ``alert`` by the directory; of managers who are away the one above them."""
    if role == "manager":
        return _managers(alert, company)
    if role == ABOVE:
        nearest = _managers(alert, company)
        return list(dict.fromkeys(up for one in nearest for up in _first(company.above(one), company)))
    if role == "team_lead":
        return _leads(alert, company)
    if role == "champion":
        return [person for person in _champions(alert, company) if person != alert.subject_key]
    if role == "sponsor":
        named = [str(heard["person"]) for heard in alert.audience if heard["role"] == role and heard.get("person")]
        assigned = company.sponsors.get(alert.wave) if alert.wave is not None else None
        return [assigned] if assigned is not None else named
    return []


def _first(line: Sequence[str], company: Company) -> list[str]:
    return [person for person in line if company.reachable(person)][:1]


def _managers(alert: Alert, company: Company) -> list[str]:
    if alert.subject_kind == "user":
        return _first(company.above(alert.subject_key), company)
    return _leads(alert, company)


def _teams(alert: Alert, company: Company) -> list[str]:
    """Return the teams an alert is about: its own, or those it calls the furthest behind."""
    if alert.subject_kind == "team":
        return [alert.subject_key]
    if alert.subject_kind == "user":
        place = company.people.get(alert.subject_key)
        return [place.team] if place is not None and place.team is not None else []
    return [str(team["team"]) for team in alert.evidence.get("worst_teams") or () if team.get("team") is not None]


def _leads(alert: Alert, company: Company) -> list[str]:
    leads = (lead for team in _teams(alert, company) for lead in company.leads.get(team, ()))
    found = (_first([lead, *company.above(lead)], company) for lead in leads)
    return list(dict.fromkeys(person for some in found for person in some if person != alert.subject_key))


def _champions(alert: Alert, company: Company) -> Iterator[str]:
    """Return the champions of the teams; of a team without one those of its function."""
    for team in _teams(alert, company):
        own = [person for person in company.champions.get(team, ()) if company.reachable(person)]
        yield from own or company.function_champions.get(company.functions.get(team) or "", ())
