"""Metrics as JSON: the catalogue, values with what they rest on, and how one week compares with another."""

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final

import msgspec

from services.api.scenes import windows_of
from services.api.shapes import Rate, Shown, rate
from services.metrics.answers import Answer
from services.metrics.catalogue import Metric
from services.metrics.compare import Change, People
from services.metrics.shape import Interval
from services.metrics.values import Value


class ParameterShown(Shown):
    """What a metric is asked for beside its group; ``allowed`` null: any text."""

    name: str
    allowed: list[str] | None = None


class MetricShown(Shown):
    """One metric of the catalogue. ``reason``: why it has no values yet."""

    metric: str
    code: str
    title: str
    layer: int | str
    unit: str
    direction: str
    combination: str
    windows: list[str]
    parameter: ParameterShown | None = None
    subject: str
    minimum: int
    inputs: list[str]
    targets: dict[str, int]
    beside: list[str]
    reason: str | None = None


class WindowShown(Shown):
    """The days of a window, ``[start, end)``."""

    kind: str
    start: date
    end: date
    tz: str


class SideShown(Shown):
    """People who count in one of two weeks only, and how many of them as a hit."""

    people: int
    hits: int


class PeopleShown(Shown):
    """The people behind two weeks, each counted in one place."""

    kept: int
    lost: int
    gained: int
    idle: int
    leavers: SideShown
    moved_out: SideShown
    joiners: SideShown
    moved_in: SideShown


class ChangeShown(Shown):
    """Against a baseline, whose counts these are. Positive: it fell. ``parts`` add up to ``points`` exactly."""

    baseline: str
    window: WindowShown | None = None
    num: int | None = None
    den: int | None = None
    value: float | None = None
    relative: float | None = None
    points: float | None = None
    p: float | None = None
    insufficient: bool | None = None
    people: PeopleShown | None = None
    parts: dict[str, float] | None = None
    reason: str | None = None


class ValueShown(Shown):
    """A metric of a group in a window. Without a value there is a reason.

    ``excluded``: of how many people nothing was expected in the week, by reason; null: that is counted by week only.
    """

    metric: str
    parameter: dict[str, str] | None = None
    dimension: str
    key: str
    num: int | None = None
    den: int | None = None
    value: float | None = None
    state: str
    revision: int
    window: WindowShown
    excluded: dict[str, int] | None = None
    beside: dict[str, int | float | Rate] | None = None
    reason: str | None = None
    knowledge_time: datetime | None = None
    change: ChangeShown | None = None


class GateShown(Shown):
    """What is aimed at in a layer; ``passed`` null: that is not known, and ``reason`` says why."""

    layer: str
    metric: str
    parameter: dict[str, str] | None = None
    num: int | None = None
    den: int | None = None
    target: int
    passed: bool | None = None
    reason: str | None = None


class LevelShown(Shown):
    """How far a group has come at the end of a week, and what its manager is to ask first."""

    metric: str
    dimension: str
    key: str
    level: int
    verdict: str | None = None
    phase: str
    governing_layer: str
    gates: list[GateShown]
    question: str | None = None
    state: str
    window: WindowShown
    reason: str | None = None


class MetricPage(Shown):
    """One page of values, ordered by parameter and window, or of levels."""

    items: list[LevelShown | ValueShown]
    next: str | None = None


class CataloguePage(Shown):
    """Either the catalogue, or one page of the values of a group."""

    items: list[ValueShown | MetricShown]
    next: str | None = None


WINDOW: Final = {"kind": "week", "start": "2026-03-09", "end": "2026-03-16", "tz": "Europe/Lisbon"}
SHOWN: Final[dict[str, Any]] = {
    "metric": "adoption.weekly_rate",
    "parameter": None,
    "dimension": "team",
    "key": "North",
    "num": 9,
    "den": 12,
    "value": 0.75,
    "state": "final",
    "revision": 0,
    "window": WINDOW,
    "excluded": {"on_leave": 1},
    "beside": {"automation_only": 0},
    "reason": None,
    "knowledge_time": "2026-03-16T02:00:00Z",
}


def catalogued(metric: Metric) -> dict[str, Any]:
    """Return a metric of the catalogue as JSON shows it."""
    parameter = metric.parameter
    return {
        "metric": metric.id,
        "code": metric.code,
        "title": metric.title,
        "layer": metric.layer,
        "unit": metric.unit,
        "direction": metric.direction,
        "combination": metric.combination,
        "windows": windows_of(metric),
        "parameter": None if parameter is None else {"name": parameter.name, "allowed": parameter.allowed},
        "subject": metric.subject,
        "minimum": metric.minimum,
        "inputs": metric.inputs,
        "targets": dict(metric.targets),
        "beside": list(metric.companions),
        "reason": metric.reason,
    }


class Window(msgspec.Struct, gc=False):
    """A window, quickly written."""

    kind: str
    start: date
    end: date | None
    tz: str


class Item(msgspec.Struct):
    """A value, quickly written: a page has a thousand. What it is stands at ``ValueShown``."""

    metric: str
    parameter: dict[str, str] | None
    dimension: str
    key: str
    num: int | None
    den: int | None
    value: float | None
    state: str
    revision: int
    window: Window
    excluded: Mapping[str, int] | None
    beside: dict[str, int | float | dict[str, Any]] | None
    reason: str | None
    knowledge_time: datetime | None


def windowed(kind: str, span: Interval, time_zone: str) -> Window:
    """Return a window as JSON shows it."""
    return Window(kind, span.start, span.end, time_zone)


def item(answer: Answer, group: tuple[str, str], time_zone: str) -> Item:
    """Return an answer as JSON shows it."""
    metric, of, window, span = answer.asked
    num, den, reason, beside = answer.num, answer.den, answer.reason, answer.beside
    return Item(
        metric.id,
        None if of is None or metric.parameter is None else {metric.parameter.name: of},
        *group,
        num,
        den,
        None if reason or not den else (num or 0) * metric.scale / den,
        answer.state,
        answer.revision,
        Window(window, span.start, span.end, time_zone),
        answer.excluded,
        {name: _beside(value) for name, value in beside.items()} if beside else None,
        reason,
        answer.known_at,
    )


def _beside(value: int | Fraction | Value) -> int | float | dict[str, Any]:
    if isinstance(value, Fraction):
        return float(value)
    return value if isinstance(value, int) else rate(value.num, value.den)


def number(value: Fraction | None) -> float | None:
    """Return an exact value as JSON shows it."""
    return None if value is None else float(value)


def changed(change: Change, baseline: str, window: Window) -> dict[str, Any]:
    """Return a change as JSON shows it."""
    parts = change.parts()
    return {
        "baseline": baseline,
        "window": window,
        **rate(*change.base),
        "relative": number(change.relative),
        "points": number(change.points),
        "p": None if change.people is None or change.insufficient else float(change.people.p),
        "insufficient": change.insufficient,
        "people": None if change.people is None else _people(change.people),
        "parts": None if parts is None else {name: float(part) for name, part in parts.items()},
        "reason": "insufficient_sample" if change.insufficient else None,
    }


def _people(people: People) -> dict[str, Any]:
    counted = {name: getattr(people, name) for name in ("kept", "lost", "gained", "idle")}
    sides = ("leavers", "moved_out", "joiners", "moved_in")
    return {**counted, **{name: getattr(people, name)._asdict() for name in sides}}
