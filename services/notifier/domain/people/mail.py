"""A message as an e-mail: plain text, and the same as simple HTML. Its Message-ID is the id of the message.

Whatever text comes from outside stands in it as text: no line of it becomes a header, no sign of it markup.
"""

from collections.abc import Iterable
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from textwrap import fill
from typing import Final

from schemas.mails import ADDRESS
from services.notifier.domain.people.page import Block, Page

WIDTH: Final = 76
_COLOURS: Final = {
    "info": "#4a6fa5",
    "warning": "#a86400",
    "critical": "#b3261e",
    "emergency": "#7a0c0c",
    "good": "#2e7d32",
}


def mail(page: Page, *, sender: str, recipient: str, message: str, language: str, sent_at: datetime) -> EmailMessage:
    """Return ``page`` as a mail. ``sender`` and ``recipient`` are bare addresses.

    Raises:
        ValueError: one of the two is no address.
    """
    origin = address(sender)
    made = EmailMessage()
    made["From"] = origin
    made["To"] = address(recipient)
    made["Subject"] = page.title
    made["Date"] = format_datetime(sent_at)
    made["Message-ID"] = f"<{message}@{origin.domain}>"
    made["Content-Language"] = language
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(text(page), cte="quoted-printable")
    made.add_alternative(html(page, language), subtype="html", cte="quoted-printable")
    return made


def address(text: str) -> Address:
    """Return a bare address.

    Raises:
        ValueError: it is none.
    """
    if not is_address(text):
        raise ValueError("is no e-mail address")
    name, _, domain = text.rpartition("@")
    return Address(username=name, domain=domain)


def is_address(text: str) -> bool:
    """Whether a mail can be written to ``text``."""
    return ADDRESS.fullmatch(text) is not None


def text(page: Page) -> str:
    """Return ``page`` as plain text."""
    parts = [page.hello, *_told(page.blocks)]
    if page.standing:
        parts += [_underlined(page.standing_heading), *_told(page.standing)]
    if page.unjudged:
        parts += [_underlined(page.unjudged_heading), "\n".join(_point(one) for one in page.unjudged)]
    parts += [fill(note, WIDTH) for note in page.notes]
    return "\n\n".join([*parts, f"-- \n{fill(page.foot, WIDTH)}"]) + "\n"


def _underlined(heading: str) -> str:
    return f"{heading}\n{'-' * len(heading)}"


def _told(blocks: Iterable[Block]) -> Iterable[str]:
    for block in blocks:
        lines = [_wrapped(f"[{block.label}] {block.heading}")]
        for line in block.lines:
            if line.text:
                lines.append(_point(line.text))
            if line.url:
                lines.append(f"  {'  ' if line.text else ''}{line.url}")
        lines += [_wrapped(note, "  ") for note in block.notes]
        yield "\n".join(lines)


def _wrapped(said: str, indent: str = "") -> str:
    return fill(said, WIDTH, initial_indent=indent, subsequent_indent=indent or "  ", break_long_words=False)


def _point(said: str) -> str:
    return fill(said, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_long_words=False)


def html(page: Page, language: str) -> str:
    """Return ``page`` as HTML without anything that is fetched."""
    parts = [f"<p>{escape(page.hello)}</p>", *map(_shown, page.blocks)]
    if page.standing:
        parts += [f"<h2>{escape(page.standing_heading)}</h2>", *map(_shown, page.standing)]
    if page.unjudged:
        points = "".join(f"<li>{escape(one)}</li>" for one in page.unjudged)
        parts += [f"<h2>{escape(page.unjudged_heading)}</h2>", f"<ul>{points}</ul>"]
    parts += [f"<p>{escape(note)}</p>" for note in page.notes]
    parts.append(f'<p style="color:#666;font-size:12px">{escape(page.foot)}</p>')
    return (
        f'<!doctype html>\n<html lang="{escape(language)}"><head><meta charset="utf-8">'
        f"<title>{escape(page.title)}</title></head>\n"
        '<body style="font-family:sans-serif;font-size:15px;line-height:1.45;max-width:640px">\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _shown(block: Block) -> str:
    colour = _COLOURS[block.tone]
    one = block.lines[0] if len(block.lines) == 1 and not block.lines[0].text else None
    heading = _linked(block.heading, one.url if one else None)
    points = "".join(f"<li>{_linked(line.text, line.url)}</li>" for line in block.lines if line.text)
    notes = "".join(f'<p style="margin:4px 0">{escape(note)}</p>' for note in block.notes)
    return (
        f'<div style="border-left:4px solid {colour};padding-left:12px;margin:16px 0">'
        f'<p style="margin:0 0 4px"><strong style="color:{colour}">{escape(block.label)}</strong> {heading}</p>'
        f"{f'<ul>{points}</ul>' if points else ''}{notes}</div>"
    )


def _linked(said: str, url: str | None) -> str:
    return f'<a href="{escape(url)}">{escape(said)}</a>' if url else escape(said)
