"""Alerts in words that a manager understands. Pure: from what the API says to a sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.simulator import Story, plot

Item = Mapping[str, Any]

NAMED: Final = 6
ENDINGS: Final = {
    "recovered": "recovered",
    "superseded": "taken over by the next checkpoint",
    "phase_ended": "open until the launch phase ended",
    "connected": "connected",
    "licence_ended": "licence ended",
}


def day(moment: date) -> str:
    """Return ``moment`` as a day and month."""
    return f"{moment.day} {moment:%b}"


def evidence(alert: Item) -> str:
    """Return what an alert about a wave or a group rests on, and how long it lasted."""
    facts = alert["evidence"]
    rests = _drop(facts) if "baseline" in facts else _signs(facts) if "parts" in facts else _wave(facts)
    return f"{rests} {_span(alert)}"


def title_of_people(alerts: Sequence[Item]) -> str:
    """Return one title for many alerts about people."""
    _, _, what = alerts[0]["title"].partition(": ")
    return f"{len(alerts)} people {what or alerts[0]['title']}"


def people(alerts: Sequence[Item], names: Mapping[str, str]) -> str:
    """Return how many came after all, and who has not: by team, then some by name."""
    standing = [alert for alert in alerts if alert["state"] != "resolved"]
    came = sum(alert["resolution"] == "connected" for alert in alerts)
    if came == len(alerts):
        return f"All {came} came later."
    parts = [f"{came} came later."] if came else []
    if standing:
        teams = Counter(alert["evidence"]["team"] for alert in standing)
        listed = sorted(names.get(alert["subject"]["key"], alert["subject"]["key"]) for alert in standing)
        more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
        where = ", ".join(f"{team} {count}" for team, count in teams.most_common(4))
        parts.append(f"{len(standing)} have not to this day ({where}): {', '.join(listed[:NAMED])}{more}.")
    return " ".join(parts)


def silence(taken_back: Sequence[Item], story: Story) -> str:
    """Return what must not alarm, and what was raised and then taken back."""
    team_of = {person.user: person.team for person in story.people}
    teams = Counter(team_of.get(alert["subject"]["key"], alert["subject"]["key"]) for alert in taken_back)
    back = ", ".join(f"{count} about {team}" for team, count in teams.most_common())
    withdrawn = f" Raised while events were on their way, taken back when they came: {back}." if back else ""
    return (
        f"Rightly silent: {plot.FIRST.name.lower()} at exactly 80 % by D+1, leave, joiners and leavers, the holiday of "
        f"{day(plot.HOLIDAYS[0])}, three days without {plot.OUTAGE_SOURCE} from {day(plot.OUTAGE_FROM)}, software at "
        f"night.{withdrawn}"
    )


def beside(others: Mapping[str, int]) -> str:
    """Return how many alerts other rules raised."""
    listed = ", ".join(f"{number} {rule}" for rule, number in others.items())
    return f"Other rules, which the story was not written for: {listed}."


def counters(status: Item) -> str:
    """Return what was counted, copies and strangers included."""
    return (
        f"{status['folded']:,} events counted once each; {status['duplicates']:,} copies recognised, "
        f"{status['late']:,} came late, {status['unmapped']:,} belong to nobody in the directory, "
        f"{status['dead_letters']:,} could not be read."
    )


def _wave(facts: Item) -> str:
    teams = [entry for entry in facts.get("worst_teams", []) if entry["num"] < entry["den"]]
    behind = ", ".join(f"{entry['team']} {entry['num']} of {entry['den']}" for entry in teams[:3])
    latest = facts.get("latest", {})
    later = ""
    if latest and latest["n"] > facts["n"]:
        later = f" By D+{latest['n']} it was {latest['num']} of {latest['den']}."
    rate, wanted = _percent(facts["value"]), _percent(facts["threshold"])
    return f"{rate}, the target is {wanted}{f'; furthest behind: {behind}' if behind else ''}.{later}"


def _drop(facts: Item) -> str:
    base = facts["baseline"]
    fall = _percent(facts["value"] / base["value"] - 1).removeprefix("-")
    chance = "" if facts["net_loss"] <= 0 else f"; by chance this happens in {_chance(facts['p'])} of cases"
    return (
        f"{fall} below week 1: of {facts['people']} people counted in both weeks {facts['lost']} stopped and "
        f"{facts['gained']} began{chance}."
    )


def _signs(facts: Item) -> str:
    return f"Signs that are open at the same time, and for which this one speaks: {', '.join(sorted(facts['parts']))}."


def _span(alert: Item) -> str:
    opened = f"Since {_local(alert['opened_at'])}"
    if alert["state"] != "resolved":
        return f"{opened}."
    return f"{opened} until {_local(alert['resolved_at'])}: {ENDINGS.get(alert['resolution'], alert['resolution'])}."


def _local(instant: str) -> str:
    return day(datetime.fromisoformat(instant).astimezone(ZoneInfo(plot.TIME_ZONE)))


def _chance(p: float) -> str:
    return f"{100 * p:.0f} %" if p >= 0.01 else "fewer than 1 %"  # noqa: PLR2004 - no false precision


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
