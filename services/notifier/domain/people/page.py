"""What a message says, whichever way it goes: a title, and blocks of lines that each lead to their alert."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.hearing.shape import RANK
from services.notifier.domain.people.wording import Words, amount, words
from services.rules.why import because

_OVER: Final = frozenset({"resolved"})
_WRONG: Final = frozenset({"corrected"})


@dataclass(frozen=True, slots=True)
class Line:
    """One alert of a block. ``text``: what tells it from its neighbours; empty: nothing does."""

    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Block:
    """Alerts of which the same is told. ``tone``: how loud, or ``good`` when it is over."""

    tone: str
    label: str
    heading: str
    notes: Sequence[str]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Page:
    """A message, ready to be set in any form."""

    title: str
    hello: str
    blocks: Sequence[Block]
    standing: Sequence[Block]
    standing_heading: str
    unjudged: Sequence[str]
    unjudged_heading: str
    notes: Sequence[str]
    foot: str


def page(body: Mapping[str, Any], links: str) -> Page:
    """Return what ``body`` says. ``links``: the address under which alerts are found; empty: they are named only."""
    said = words(body["language"])
    name, tenant = body["to"]["name"], body["tenant"]
    zone = ZoneInfo(body["zone"])
    notes = [said.left_out.format(n=body["more"])] if body["more"] else []
    return Page(
        title=title(body, said),
        hello=said.hello.format(name=name) if name else said.hello_all,
        blocks=list(_blocks(body["lines"], said, zone, links)),
        standing=list(_blocks(body["standing"], said, zone, links, standing=True)),
        standing_heading=said.standing,
        unjudged=[_unjudged(one, said) for one in body["unjudged"]],
        unjudged_heading=said.unjudged,
        notes=notes,
        foot=said.foot.format(tenant=tenant),
    )


def title(body: Mapping[str, Any], said: Words) -> str:
    """Return the title of ``body``: one line, which names no single person."""
    lines = body["lines"]
    if body["kind"] == "digest":
        return _plain(said.digest.format(tenant=body["tenant"], counts=", ".join(_counts(body, said))))
    first = max(lines, key=lambda line: (line["what"] in _WRONG, line["what"] not in _OVER, RANK[line["severity"]]))
    told = first["title"] if len(lines) == 1 else said.and_more.format(title=first["title"], n=len(lines) - 1)
    return _plain(f"{_label(first, said)}: {told}")


def _counts(body: Mapping[str, Any], said: Words) -> Iterable[str]:
    what = [line["what"] for line in body["lines"]]
    over, wrong = (sum(one in some for one in what) for some in (_OVER, _WRONG))
    for forms, n in (
        (said.new, len(what) - over - wrong),
        (said.over, over),
        (said.wrong, wrong),
        (said.still, len(body["standing"])),
    ):
        if n:
            yield amount(forms, n)


def _label(line: Mapping[str, Any], said: Words) -> str:
    if line["what"] in {"opened", "raised", "reopened"}:
        return said.severity[line["severity"]]
    return said.what[line["what"]]


def _plain(text: str) -> str:
    return " ".join(text.split())


def _blocks(
    lines: Sequence[Mapping[str, Any]], said: Words, zone: ZoneInfo, links: str, *, standing: bool = False
) -> Iterable[Block]:
    def same(line: Mapping[str, Any]) -> tuple[object, ...]:
        return line["what"], line["severity"], line["title"], line["action"], line["person"] is None

    for _, some in groupby(lines, same):
        together = list(some)
        if together[0]["person"] is None:
            yield from (_block([line], said, zone, links, standing=standing) for line in together)
        else:
            yield _block(together, said, zone, links, standing=standing)


def _block(lines: Sequence[Mapping[str, Any]], said: Words, zone: ZoneInfo, links: str, *, standing: bool) -> Block:
    first = lines[0]
    what, people = first["what"], first.get("people") or (len(lines) if first["person"] is not None else 0)
    label = said.severity[first["severity"]] if standing else _label(first, said)
    count = f" ({amount(said.person, people)})" if people and (first["person"] is None or people > 1) else ""
    named = first["person"] is not None
    return Block(
        tone="good" if what in _OVER | _WRONG and not standing else first["severity"],
        label=label,
        heading=_plain(first["title"]) + count,
        notes=list(_notes(first, said, zone, short=standing, dated=not named)),
        lines=[_entry(line, said, zone, links) for line in lines],
    )


def _entry(line: Mapping[str, Any], said: Words, zone: ZoneInfo, links: str) -> Line:
    url = f"{links.rstrip('/')}/v1/alerts/{line['alert']}" if links and line["alert"] else None
    text = (
        f"{_plain(line['person'])}. {said.since.format(day=_day(line['since'], said, zone))}" if line["person"] else ""
    )
    return Line(text, url)


def _notes(line: Mapping[str, Any], said: Words, zone: ZoneInfo, *, short: bool, dated: bool) -> Iterable[str]:
    what = line["what"]
    if dated:
        yield said.since.format(day=_day(line["since"], said, zone))
    if what in _WRONG:
        yield said.correction
    elif what in _OVER:
        if line["until"] is not None:
            yield said.until.format(day=_day(line["until"], said, zone))
    else:
        yield from _circumstances(line, said)
        if not short:
            yield said.action.format(action=_plain(line["action"]))


def _circumstances(line: Mapping[str, Any], said: Words) -> Iterable[str]:
    """Return how sure an open alert is, how it came to the recipient, and for what else it speaks."""
    if line["suspected"]:
        yield said.suspected
    if line["carried_up"]:
        yield said.carried_up
    if line["what"] == "handed_over":
        yield said.handed_over
    children = [_plain(child["title"]) for child in line["children"]]
    if line["children_people"]:
        children.append(amount(said.person, line["children_people"]))
    if children:
        yield said.covers.format(children="; ".join(children))


def _unjudged(one: Mapping[str, Any], said: Words) -> str:
    reason = said.reasons.get(one["reason"]) or because(one["reason"])
    groups = ", ".join(_plain(group) for group in one["groups"]) or amount(said.groups, one["count"])
    return f"{one['rule']}: {groups} ({reason})"


def _day(instant: str, said: Words, zone: ZoneInfo) -> str:
    day: date = datetime.fromisoformat(instant).astimezone(zone).date()
    return said.day(day)
