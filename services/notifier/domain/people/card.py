"""A message as an Adaptive Card for a channel of Microsoft Teams, in the envelope that its workflows take.

A card is never larger than Teams takes: what does not fit is left out from the end, and the number of it is told.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.notifier.domain.people.page import Block, Page

MOST_BYTES: Final = 25_000
"""Teams takes 28 KB with everything around the card."""
_COLOURS: Final = {
    "info": "Accent",
    "warning": "Warning",
    "critical": "Attention",
    "emergency": "Attention",
    "good": "Good",
}


def envelope(page: Page, left_out: str = "{n} more") -> dict[str, Any]:
    """Return the body that a workflow's webhook takes. ``left_out``: how the number of what did not fit is told."""
    blocks = [*page.blocks, *page.standing]
    shown = len(blocks)
    while True:
        made = _envelope(page, blocks[:shown], left_out.format(n=len(blocks) - shown) if shown < len(blocks) else None)
        if shown <= 1 or len(msgspec.json.encode(made)) <= MOST_BYTES:
            return made
        shown -= max(1, shown // 8)


def _envelope(page: Page, blocks: Sequence[Block], left_out: str | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = [_text(page.title, size="Large", weight="Bolder")]
    content += [_block(block) for block in blocks]
    if page.unjudged:
        content.append(_text(f"**{page.unjudged_heading}**: {_plain('; '.join(page.unjudged))[:2000]}", isSubtle=True))
    content += [_text(_plain(note), isSubtle=True) for note in [*page.notes, *([left_out] if left_out else [])]]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "body": content,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _block(block: Block) -> dict[str, Any]:
    items = [_text(f"**{block.label}** {_plain(block.heading)}", color=_COLOURS[block.tone])]
    items += [_text(_linked(line.text, line.url)) for line in block.lines if line.text]
    items += [_text(_plain(note), spacing="Small") for note in block.notes]
    made: dict[str, Any] = {"type": "Container", "separator": True, "items": items}
    if len(block.lines) == 1 and not block.lines[0].text and block.lines[0].url:
        made["selectAction"] = {"type": "Action.OpenUrl", "url": block.lines[0].url}
    return made


def _text(text: str, **more: object) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _plain(text: str) -> str:
    """Return ``text`` with the signs of Markdown made ordinary."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]()#<>~|" else sign for sign in text)


def _linked(text: str, url: str | None) -> str:
    return f"[{_plain(text)}]({url})" if url else _plain(text)
