"""What the demonstration puts on the screen, a hundred columns wide. Pure: from values to what rich can print."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from services.demo import sentences
from services.demo.verdict import STORY, TAKEN_BACK, Verdict, counts, told
from services.simulator import Known, Story, plot

Item = dict[str, Any]

BARS: Final = "▁▂▃▄▅▆▇█"
FLOOR: Final = 40
"""Percent at which the bars begin: adoption is lost between here and 100 %."""
STEP: Final = 3
"""A bar of a chart stands for so many days; the last day of them is shown."""
GOOD: Final = 85
FAIR: Final = 70
"""Percent of a team that must be active in seven days in months 2 and 3, and below which it is lost."""
WEEK: Final = "7d"
LOUDNESS: Final = {
    "emergency": "bold white on red",
    "critical": "bold red",
    "warning": "yellow",
    "info": "cyan",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What was read back: windows by dimension, alerts, counters."""

    windows: Mapping[str, Sequence[Item]]
    alerts: Sequence[Item]
    status: Mapping[str, Any]


def week_of(time: str) -> str:
    """Return the week of the story that the event time ``time`` falls into, in words."""
    number = (datetime.fromisoformat(time).date() - plot.FIRST_DAY).days // 7 + 1
    return f"week {min(max(number, 1), plot.WEEKS):>2} of {plot.WEEKS}"


def opening(story: Story) -> RenderableType:
    """Return the first lines: what is about to be told."""
    teams = {person.team for person in story.people}
    roles = {person.role for person in story.people}
    text = (
        f"A simulated rollout: {len(story.people)} people in {len(teams)} teams and {len(roles)} roles go live in "
        f"{len(plot.WAVES)} waves; {plot.WEEKS} weeks of events, in the order in which they arrive."
    )
    return Group(Rule("[bold]Uptake[/bold]", align="left"), Padding(text, (0, 2, 1, 2), expand=False))


def closing(
    story: Story, ready: Mapping[str, str], shown: Shown, verdict: Verdict, seconds: float
) -> Iterator[RenderableType]:
    """Yield everything there is to show after the replay, part by part."""
    yield _heading("Teams", f"share of the licensed people active in 7 days, drawn from {FLOOR} % to 100 %")
    yield Padding(_teams(shown.windows["team"]), (0, 2), expand=False)
    yield _heading("Alerts", "what the product says, and what to do next")
    names = {person.user: person.name for person in story.people}
    standing = [alert for alert in shown.alerts if alert.get("resolution") != TAKEN_BACK]
    yield Padding(_alerts(told(standing), names), (0, 2), expand=False)
    if others := counts(alert for alert in standing if alert["rule"] not in STORY):
        yield Padding(sentences.beside(others), (0, 2), expand=False)
    yield _heading("Against the story", "every alert it is known to hold, compared by rule, subject and tier")
    yield Padding(_against(verdict), (0, 2), expand=False)
    yield Padding(sentences.silence(verdict.taken_back, story), (1, 2, 0, 2), expand=False)
    yield Padding(sentences.counters(shown.status), (1, 2, 0, 2), expand=False)
    yield _heading("Where to look", f"told in {seconds} s")
    yield Padding(_addresses(ready), (0, 2, 1, 2), expand=False)


def _heading(title: str, subtitle: str) -> RenderableType:
    return Padding(Rule(f"[bold]{title}[/bold]  [dim]{subtitle}[/dim]", align="left"), (1, 0, 0, 0))


def _teams(items: Sequence[Item]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    last = plot.LAST_NIGHT - timedelta(days=1)
    table.add_column("wave")
    table.add_column("team")
    table.add_column("people", justify="right")
    table.add_column(f"{sentences.day(plot.FIRST_DAY)} to {sentences.day(last)}", no_wrap=True)
    table.add_column("week 1", justify="right")
    table.add_column("now", justify="right")
    table.add_column("level")
    rows = {(item["key"], date.fromisoformat(item["as_of"])): item for item in items if item["window"] == WEEK}
    for wave in plot.WAVES:
        for position, (team, _) in enumerate(wave.teams):
            if (now := rows.get((team, last))) is None:
                continue
            week_one = rows.get((team, wave.week(2) - timedelta(days=1)))
            style, level = _level(now["active_rate"])
            table.add_row(
                wave.name if position == 0 else "",
                team,
                "" if now["licensed"] is None else str(now["licensed"]),
                _chart(rows, team, wave.go_live),
                _percent(week_one["active_rate"]) if week_one else "",
                Text(_percent(now["active_rate"]), style),
                Text(level, style),
                end_section=position == len(wave.teams) - 1,
            )
    return table


def _chart(rows: Mapping[tuple[str, date], Item], team: str, go_live: date) -> Text:
    """Draw a bar for every third day; there is only a dot until the seven days are all after the go-live.

    Where the team is hidden there is a dot, too.
    """
    chart = Text()
    day = plot.FIRST_DAY + timedelta(days=STEP - 1)
    while day < plot.LAST_NIGHT:
        item = rows.get((team, day))
        if item is None or item["active_rate"] is None or day < go_live + timedelta(days=6):
            chart.append("·", "dim")
        else:
            rate = item["active_rate"]
            height = (100 * rate["num"] - FLOOR * rate["den"]) * len(BARS) // ((100 - FLOOR) * rate["den"])
            chart.append(BARS[min(max(height, 0), len(BARS) - 1)], _level(rate)[0])
        day += timedelta(days=STEP)
    return chart


def _level(rate: Item | None) -> tuple[str, str]:
    if rate is None:
        return "dim", "hidden: it would tell of few"
    percent = 100 * rate["num"] / rate["den"]
    if rate["num"] == 0:
        return "bold red", "nobody came"
    if percent < FAIR:
        return "red", f"below {FAIR} %"
    return ("green", "on target") if percent >= GOOD else ("yellow", f"below {GOOD} %")


def _percent(rate: Item | None) -> str:
    return "" if rate is None else f"{100 * rate['num'] / rate['den']:.0f} %"


def _alerts(alerts: Sequence[Item], names: Mapping[str, str]) -> Table:
    """Show each alert about a group for which no other speaks, and those about people together, the loudest first."""
    entries: list[tuple[Item, str, str]] = []
    people: dict[str, list[Item]] = {}
    for alert in alerts:
        if alert["subject"]["kind"] == "user":
            people.setdefault(alert["rule"], []).append(alert)
        elif alert["suppressed_by"] is None:
            entries.append((alert, alert["title"], sentences.evidence(alert)))
    entries += [(same[0], sentences.title_of_people(same), sentences.people(same, names)) for same in people.values()]
    order = list(LOUDNESS)
    entries.sort(key=lambda entry: (order.index(entry[0]["severity"]), entry[0]["opened_at"], entry[1]))
    table = Table(box=None, show_header=False, padding=(0, 1, 1, 0))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for alert, title, evidence in entries:
        table.add_row(_badge(alert), _told(title, evidence, alert["action"]))
    return table


def _badge(alert: Item) -> Text:
    badge = Text(alert["severity"], LOUDNESS[alert["severity"]])
    return badge.append(f"\n{alert['tier']}", "dim")


def _told(title: str, evidence: str, action: str) -> Text:
    return Text.assemble((title, "bold"), "\n", evidence, "\n", ("→ " + action, "italic"))


def _against(verdict: Verdict) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rule")
    for column in ("known", "found", "missed", "unexpected", "taken back"):
        table.add_column(column, justify="right")
    rules = [entry.rule for entry in (*verdict.found, *verdict.missed)]
    rules += [alert["rule"] for alert in (*verdict.unexpected, *verdict.taken_back)]
    for rule in sorted(set(rules)):
        table.add_row(rule, *_row(verdict, rule))
    style = "bold green" if verdict.complete else "bold red"
    total = [f"{number}" for number in _totals(verdict)]
    table.add_row(Text("all", style), *(Text(number, style) for number in total))
    return table


def _row(verdict: Verdict, rule: str) -> Iterator[str]:
    return (f"{number}" if number else "-" for number in _totals(verdict, rule))


def _totals(verdict: Verdict, rule: str | None = None) -> tuple[int, ...]:
    def of_known(entries: Sequence[Known]) -> int:
        return sum(rule in {None, entry.rule} for entry in entries)

    def of_alerts(alerts: Sequence[Item]) -> int:
        return sum(rule in {None, alert["rule"]} for alert in alerts)

    found, missed = of_known(verdict.found), of_known(verdict.missed)
    return found + missed, found, missed, of_alerts(verdict.unexpected), of_alerts(verdict.taken_back)


def _addresses(ready: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("API", ready["api"])
    table.add_row("documentation", f"{ready['api']}/docs")
    for name in ("api", "ingest", "aggregator"):
        if name in ready:
            table.add_row(f"metrics of {name}", f"{ready[name]}/metrics")
    table.add_row("key", ready["admin_key"])
    table.add_row("tenant", "demo (header Uptake-Tenant)")
    return table
