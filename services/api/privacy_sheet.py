"""The data sheet: what is kept of people, for how long, who may see it, and what is never kept. Made to be printed."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final, NamedTuple

from services.api.store.tenants import Tenant


class Kept(NamedTuple):
    """A kind of data. ``tier``: which period of the retention it goes with; None: as long as the reason lasts."""

    what: str
    why: str
    tier: str | None
    until: str = ""


_ERASED: Final = "the person is erased"
KEPT: Final = (
    Kept(
        "directory: key, name, e-mail, team, role, manager, licences, days and kind of absence",
        "to know of whom something is expected, and whom to ask for help",
        None,
        _ERASED,
    ),
    Kept(
        "single events: who, when, what kind of act on which record, and by which way (screen, mobile, import)",
        "to count days of use",
        "activity",
    ),
    Kept(
        "by person and day: numbers of events and logins, the first and the last instant",
        "to count windows, and to find who did not connect",
        "people",
    ),
    Kept("by person and week: what they add to the numbers of their groups", "to count metrics", "people"),
    Kept("by person: day zero and the first day of use", "to count who connected in time", None, _ERASED),
    Kept(
        "of records: owner, stage, close date, and which fields are filled",
        "to measure the quality of data",
        None,
        "the record is deleted, or its owner erased",
    ),
    Kept("numbers of groups", "to compare weeks and years", "aggregates"),
    Kept("deliveries that could not be used, sealed", "to repair and replay them", "letters"),
    Kept("alerts with their history", "to say why somebody was asked to act", None, _ERASED),
    Kept(
        "who was told of which alert, by which message",
        "to tell nothing twice, and the end to whoever was told the beginning",
        None,
        "the alert has ended and the days that deliveries are kept are over, or the person is erased",
    ),
    Kept("which key looked at whom, and when", "so that looking can be looked into", "people"),
)
NEVER: Final = (
    "what is written in fields, notes, mails or calls: of a field only whether it is filled",
    "keystrokes, screens, positions, networks or devices",
    "how long somebody was away from the screen, or a score of a person",
    "rankings of people",
)
RIGHTS: Final = (
    "Whoever looks at a person is written down: GET /v1/access-log.",
    "A person is erased, or made anonymous, with a proof: DELETE /v1/people/{user}.",
    "Who opted out counts in no number.",
)
VISIBLE: Final = {
    "off": "Nobody sees numbers or names of single people; a key that is bound to a person shows that person alone.",
    "manager": "A key that is bound to a manager sees the people of the own line; a key of the CRM's owner sees all.",
    "owner": "Only a key that is bound to nobody, the CRM owner's, sees single people.",
}


_STYLE: Final = (
    "body{font:11pt sans-serif;max-width:45em;margin:2em auto}td,th{text-align:left;vertical-align:top;padding:.3em}"
)


def sheet(tenant: Tenant, days: Mapping[str, int], preset: str | None) -> dict[str, Any]:
    """Return the data sheet of ``tenant``; ``days``: how long the installation keeps each tier."""
    kept = {tier: min(most, tenant.retention.get(tier) or most) for tier, most in days.items()}
    times = "as instants" if tenant.instants == "exact" else "no finer than a day"
    return {
        "tenant": tenant.id,
        "name": tenant.name,
        "preset": preset,
        "min_group": tenant.min_group,
        "individual_visibility": tenant.individual_visibility,
        "instants": tenant.instants,
        "stored": [
            {"what": it.what, "why": it.why, "days": kept.get(it.tier or ""), "until": it.until or None} for it in KEPT
        ],
        "seen": [
            _groups(tenant.min_group),
            VISIBLE[tenant.individual_visibility],
            f"Answers on a person tell times {times}.",
        ],
        "never_stored": list(NEVER),
        "rights": list(RIGHTS),
    }


def _groups(least: int) -> str:
    if least <= 1:
        return "Numbers of groups are shown whatever their size."
    return (
        f"Numbers of groups of fewer than {least} people stay hidden, and so do others from which they could be found "
        "by adding and subtracting."
    )


def _term(stored: Mapping[str, Any]) -> str:
    return f"{stored['days']} days" if stored["days"] is not None else f"until {stored['until']}"


def as_markdown(told: Mapping[str, Any]) -> str:
    """Return a data sheet as Markdown."""
    rows = [f"| {it['what']} | {it['why']} | {_term(it)} |" for it in told["stored"]]
    parts = [
        f"# Data sheet: {_plain(told['name'])}",
        "## What is stored",
        "| what | why | how long |\n| --- | --- | --- |",
    ]
    parts[-1] += "\n" + "\n".join(rows)
    for title, name in (("Who sees it", "seen"), ("What is never stored", "never_stored"), ("Rights", "rights")):
        parts += [f"## {title}", "\n".join(f"- {line}" for line in told[name])]
    return "\n\n".join(parts) + "\n"


def _plain(name: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>()#+-!|" else sign for sign in " ".join(name.split()))


def as_html(told: Mapping[str, Any]) -> str:
    """Return a data sheet as a page of its own."""
    rows = "".join(
        f"<tr><td>{escape(it['what'])}</td><td>{escape(it['why'])}</td><td>{escape(_term(it))}</td></tr>"
        for it in told["stored"]
    )
    lists = "".join(
        f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in told[name])}</ul>"
        for title, name in (("Who sees it", "seen"), ("What is never stored", "never_stored"), ("Rights", "rights"))
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Data sheet: {escape(told["name"])}</title>'
        f"<style>{_STYLE}</style><h1>Data sheet: {escape(told['name'])}</h1><h2>What is stored</h2>"
        f"<table><tr><th>what</th><th>why</th><th>how long</th></tr>{rows}</table>{lists}</html>"
    )
