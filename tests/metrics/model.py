"""People's metrics once more, day by day from the words of the definition: slow, plain, and sharing no code.

Nothing of ``services.metrics`` is used but the shapes of what goes in.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import holidays

from services.metrics.shape import Act, Groups, Person, Policy, Role, Spell, WaveStart

DAY = timedelta(days=1)
FAR = 900
"""Days after which the model gives up looking for one."""
CALENDARS = {
    "PT": holidays.country_holidays("PT"),
    "DE-BY": holidays.country_holidays("DE", subdiv="BY"),
}
ORDER = ["not_live", "unlicensed", "leaver", "on_leave", "opted_out", "non_human", "short_presence"]


class Model:
    """A person of a tenant, asked one day at a time."""

    def __init__(self, person: Person, policy: Policy) -> None:
        self.person, self.policy = person, policy
        self.wave: WaveStart | None = None
        for wave in person.waves if policy.waves else ():
            rank = (max(wave.go_live, wave.since), wave.go_live, wave.wave)
            if self.wave is None or rank < (max(self.wave.go_live, self.wave.since), self.wave.go_live, self.wave.wave):
                self.wave = wave
        self.working = cache(self._working)
        self.hindrances = cache(self._hindrances)
        self.ever_licensed = True
        self.zero = self._zero()

    # What holds on a day

    def local(self, instant: datetime) -> date:
        return instant.astimezone(self.person.zone or self.policy.zone).date()

    def spell(self, day: date) -> Spell | None:
        found = [spell for spell in self.person.spells if day in spell.interval]
        return found[-1] if found else None

    def licensed(self, day: date) -> bool:
        return any(day in licence for licence in self.person.licences)

    def on_leave(self, day: date) -> bool:
        return any(day in absence for absence in self.person.absences)

    def holiday(self, day: date) -> bool:
        return day in CALENDARS.get(self.person.calendar or "", self.policy.holidays)

    def _working(self, day: date) -> bool:
        spell = self.spell(day)
        contract = self.policy.work_days if spell is None or spell.work_days is None else spell.work_days
        return day.isoweekday() in contract and not self.holiday(day)

    def groups(self, day: date) -> Groups | None:
        spell = self.spell(day)
        if spell is None:
            return None
        wave = self.wave.wave if self.wave is not None and day >= self.wave.since else None
        return Groups(wave, spell.team, spell.role, spell.function, spell.location, spell.segment)

    def role(self, name: str | None) -> Role:
        return self.policy.roles[name] if name in self.policy.roles else Role()

    # Day zero and the clock

    def _zero(self) -> date | None:
        day = self.person.active.start
        if self.policy.waves:
            if self.wave is None:
                return None
            day = max(day, self.wave.go_live, self.wave.since)
        for _ in range(FAR):
            if self.licensed(day):
                break
            day += DAY
        else:
            self.ever_licensed = False
            return None
        if not self.on_leave(day):
            return day
        for _ in range(FAR):
            if not self.on_leave(day) and self.working(day):
                return day
            day += DAY
        return None

    def nth(self, day: date, n: int, *, working: bool = True, leave: bool = True) -> date | None:
        """The n-th (working) day after ``day``, without those of leave."""
        for _ in range(FAR):
            if n == 0:
                return day
            day += DAY
            if not (leave and self.on_leave(day)) and (not working or self.working(day)):
                n -= 1
        return None

    def checkpoint(self, n: int) -> date | None:
        return None if self.zero is None else self.nth(self.zero, n, working=self.policy.working)

    # Who is expected

    def _hindrances(self, day: date) -> set[str]:
        """Everything that stands against ``day``."""
        spell, ended = self.spell(day), self.person.active.end
        found: set[str] = set()
        if self.zero is None:
            found.add("not_live" if self.ever_licensed else "unlicensed")
        elif day < self.zero:
            found.add("not_live")
        if not self.licensed(day):
            found.add("unlicensed")
        gone = spell is None and any(past.interval.start <= day for past in self.person.spells)
        if gone or (ended is not None and day >= ended):
            found.add("leaver")
        elif spell is None and "unlicensed" not in found:
            found.add("not_live")
        if self.on_leave(day):
            found.add("on_leave")
        if spell is not None and spell.opted_out:
            found.add("opted_out")
        if spell is not None and spell.kind != "human":
            found.add("non_human")
        return found

    def reason(self, day: date) -> str | None:
        found = self.hindrances(day)
        return next((reason for reason in ORDER if reason in found), None)

    def live(self, day: date) -> bool:
        return self.hindrances(day) <= {"on_leave"}

    def eligible(self, day: date) -> bool:
        return self.working(day) and not self.hindrances(day)

    def excluded(self, days: Sequence[date]) -> str | None:
        contracted = [day for day in days if self.working(day)]
        present = [day for day in days if self.eligible(day)]
        if present:
            return None if len(present) / len(contracted) >= 0.6 else "short_presence"
        reasons = {self.reason(day) for day in (contracted or days)}
        return next((reason for reason in ORDER if reason in reasons), "short_presence")

    def place(self, days: Sequence[date]) -> Groups:
        """Where the week counts: in each dimension by itself."""
        known = [day for day in days if self.spell(day) is not None]
        for choice in (
            [day for day in known if self.eligible(day)],
            [day for day in known if self.working(day)],
            known,
        ):
            if choice:
                columns = zip(*[self.groups(day) or Groups() for day in choice], strict=True)
                return Groups(*[most(list(column)) for column in columns])
        return Groups()


def most(values: Sequence[Any]) -> Any:
    """What there is most of, the latest of equals."""
    top = [value for value in values if values.count(value) == max(values.count(other) for other in values)]
    return top[-1]


def is_work(act: Act) -> bool:
    return (
        act.kind.startswith("crm.")
        and act.kind != "crm.session.login_failed"
        and act.origin in {"ui", "mobile", "unknown"}
        and (act.environment is None or act.environment == "production")
        and act.behalf is None
    )


def is_software(act: Act) -> bool:
    return is_work(act._replace(origin="ui")) and act.origin in {"api", "import", "automation", "sync"}


class Week:
    """A week of a person, with what they did."""

    def __init__(self, person: Person, policy: Policy, week: date, acts: Iterable[Act]) -> None:
        self.model = Model(person, policy)
        self.policy, self.person = policy, person
        self.days = [week + n * DAY for n in range(7)]
        self.dated = [(self.model.local(act.at), act) for act in acts]
        self.active = {day for day, act in self.dated if is_work(act)}
        self.connected = {
            day for day, act in self.dated if is_work(act) and (act.kind == "crm.session.login" or not policy.by_login)
        }
        zero = self.model.zero
        since = [day for day in self.connected if zero is not None and day >= zero]
        self.first_on = min(since) if since else None
        self.reason = self.model.excluded(self.days)

    def counts(self) -> dict[str, tuple[int, int]]:
        """All codes but those of single acts."""
        told: dict[str, tuple[int, int]] = {}
        for number, day in enumerate(self.days):
            for code, count in self._of_day(day).items():
                told[f"{code}@{number}"] = count
        return told | self._as_of_the_end() | self._of_week()

    def _of_day(self, day: date) -> dict[str, tuple[int, int]]:
        model, told = self.model, self._checkpoints(day) | self._sandbox(day)
        reason = model.reason(day)
        for n in (30, 90, 300):
            if model.zero is not None and model.zero + n * DAY == day:
                seven = [day - k * DAY for k in range(7)]
                if model.excluded(sorted(seven)) is None and not any(model.on_leave(one) for one in seven):
                    told[f"M6:{n}"] = (int(any(one in self.connected for one in seven)), 1)
        spell = model.spell(day)
        if model.eligible(day) and model.role(spell.role if spell else None).cadence == "daily":
            told["M10"] = (int(day in self.active), 1)
        if reason is None and not model.working(day) and day in self.active:
            told["off"] = (1, 0)
        return told

    def _checkpoints(self, day: date) -> dict[str, tuple[int, int]]:
        model, told = self.model, {}
        if model.reason(day) is not None:
            return {}
        connected = self.first_on is not None and self.first_on <= day
        initial = self._initial()
        for n in (1, 2, 3, 5, 10):
            if model.checkpoint(n) != day:
                continue
            if initial:
                told[f"M1:{n}"] = (int(connected), 1)
                told[f"M2:{n}"] = (int(day in self.connected), 1)
            else:
                told[f"M3:{n}"] = (int(connected), 1)
        soon = self.first_on is not None and day - self.first_on <= 28 * DAY
        if soon and model.nth(self.first_on, 5) == day:
            back = [seen for seen in self.connected if self.first_on <= seen <= day]
            told["M5"] = (int(len(back) >= 2), 1)
        return told

    def _initial(self) -> bool:
        wave, zero = self.model.wave, self.model.zero
        if wave is None or zero is None:
            return False
        last = self.model.nth(wave.go_live, 1, leave=False)
        return zero <= (wave.go_live if last is None else last)

    def _sandbox(self, day: date) -> dict[str, tuple[int, int]]:
        wave, spell = self.model.wave, self.model.spell(day)
        if wave is None or wave.go_live != day or wave.since > day or day not in self.person.active:
            return {}
        if spell is None or spell.opted_out or spell.kind != "human":
            return {}
        before = {day - n * DAY for n in range(1, 29)}
        tried = any(
            one in before and act.environment == "sandbox" and is_work(act._replace(environment=None))
            for one, act in self.dated
        )
        return {"M9": (int(tried), 1)}

    def _as_of_the_end(self) -> dict[str, tuple[int, int]]:
        model, told, end = self.model, {}, self.days[-1]
        worked = [day for day in self.days if model.working(day)]
        first = model.checkpoint(1)
        if worked and model.eligible(worked[-1]) and first is not None and first <= end:
            told["M4"] = (int(self.first_on is None or self.first_on > end), 1)
        spell, thirty = model.spell(end), [end - n * DAY for n in range(30)]
        if spell is not None and spell.kind == "human" and not spell.opted_out:
            away = all(model.on_leave(day) for day in thirty)
            if all(model.licensed(day) for day in thirty) and not away:
                told["M8"] = (int(not self.active.intersection(thirty)), 1)
        return told

    def _of_week(self) -> dict[str, tuple[int, int]]:
        if self.reason is not None:
            return {f"X:{self.reason}": (1, 0)}
        model = self.model
        live = [day for day in self.days if model.live(day)]
        active = [day for day in live if day in self.active]
        role = model.role(model.place(self.days).role)
        core = [
            act
            for day, act in self.dated
            if day in live and is_work(act) and any(act.kind == k and o in {"", act.object} for k, o in role.core)
        ]
        told = {
            "M11": (int(active != []), 1),
            "M12": (int(self._cadence(role, active)), 1),
            "M15": (int(core != []), 1),
        }
        leads = [
            bool(spell and spell.leadership) for day in self.days if model.eligible(day) for spell in [model.spell(day)]
        ]
        if most(leads):
            told["M23"] = told["M11"]
        if not active and any(day in live and is_software(act) for day, act in self.dated):
            told["A"] = (1, 0)
        return told

    def _cadence(self, role: Role, active: Sequence[date]) -> bool:
        expected = [day for day in self.days if self.model.eligible(day)]
        if role.cadence == "daily":
            return len([day for day in active if day in expected]) >= math.ceil(len(expected) * 8 / 10)
        if role.cadence == "per_week":
            return len(active) >= role.per_week or len(active) >= len(expected)
        if role.cadence == "weekly":
            return len(active) >= 1
        return any(self.model.live(day) for day in (self.days[-1] - n * DAY for n in range(28)) if day in self.active)
