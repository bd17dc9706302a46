"""What a person did, as the metrics see it: what counts as activity, what connects, on which local days.

Invariant: a function of the set of acts. Their order does not matter, nor what happened longer ago than ``SEEN``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from schemas.events import HUMAN_ORIGINS, LOGIN
from services.metrics.calendar import local_day, zone_of
from services.metrics.presence import day_zero
from services.metrics.shape import DAYS_A_WEEK, LOOKBACK, Act, Person, Policy

SEEN: Final = LOOKBACK - timedelta(days=1)
"""How long before a week local days are complete: the acts begin ``LOOKBACK`` before it at midnight UTC."""

DatedAct: TypeAlias = tuple[date, Act]
"""An act and the local day of it."""

_SOFTWARE: Final = frozenset({"api", "import", "automation", "sync"})
_LOGIN_FAILED: Final = "crm.session.login_failed"
_PRODUCTION: Final = frozenset({None, "production"})
_Meaning: TypeAlias = Literal["work", "sandbox", "software", "nothing"]


@lru_cache(maxsize=4096)
def _meaning(kind: str, origin: str, environment: str | None) -> _Meaning:
    """Return what an act is, if nobody did it on behalf of another.

    work: qualifying activity (domain 5.3); sandbox: the same there; software: the same, but no human being's.
    """
    if not kind.startswith("crm.") or kind == _LOGIN_FAILED:
        return "nothing"
    if origin in HUMAN_ORIGINS:
        return "work" if environment in _PRODUCTION else "sandbox" if environment == "sandbox" else "nothing"
    return "software" if origin in _SOFTWARE and environment in _PRODUCTION else "nothing"


def qualifies(act: Act) -> bool:
    """Whether ``act`` is activity of a human being in production and for themselves (domain 5.3)."""
    return act.behalf is None and _meaning(act.kind, act.origin, act.environment) == "work"


def connects(act: Act, policy: Policy) -> bool:
    """Whether ``act`` connects a person: any qualifying activity, or a login only where the tenant says so."""
    return qualifies(act) and (act.kind == LOGIN or not policy.by_login)


def first_connecting_day(person: Person, policy: Policy, instants: Iterable[datetime]) -> date | None:
    """Return the first local day from day zero on of ``instants``, those of the connecting acts of ``person``."""
    zero, zone = day_zero(person, policy), zone_of(person, policy)
    if zero is None:
        return None
    return min((day for instant in instants if (day := local_day(instant, zone)) >= zero), default=None)


@dataclass(slots=True)
class Done:
    """What a person did, by local day: from ``SEEN`` before the week to its end.

    ``dated``: all of it, to the day after the week. ``worked``: the qualifying acts of the week. ``by_software``,
    ``tried``: the days of acts by software, and in the sandbox.
    """

    dated: list[DatedAct] = field(default_factory=list)
    worked: list[DatedAct] = field(default_factory=list)
    active: set[date] = field(default_factory=set)
    connected: set[date] = field(default_factory=set)
    by_software: set[date] = field(default_factory=set)
    tried: set[date] = field(default_factory=set)


def digest(acts: Iterable[Act], person: Person, policy: Policy, week: date) -> Done:
    """Return ``acts`` by what they mean and on which local day."""
    zone, by_login = zone_of(person, policy), policy.by_login
    low, after = week - SEEN, week + timedelta(days=DAYS_A_WEEK)
    done = Done()
    for act in acts:
        day = local_day(act.at, zone)
        if not low <= day <= after:
            continue
        done.dated.append((day, act))
        if day == after or act.behalf is not None:
            continue
        means = _meaning(act.kind, act.origin, act.environment)
        if means == "work":
            done.active.add(day)
            if not by_login or act.kind == LOGIN:
                done.connected.add(day)
            if day >= week:
                done.worked.append((day, act))
        elif means == "sandbox":
            done.tried.add(day)
        elif means == "software":
            done.by_software.add(day)
    return done
