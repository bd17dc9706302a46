"""Addresses of records in a CRM: templates that an operator declares, and what becomes of them. Pure.

A template leads to one host over https and holds ``{record}``, and ``{object}`` where the CRM wants it.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

MOST_CHARACTERS: Final = 500
_PLACEHOLDER: Final = re.compile(r"\{(object|record)\}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_AUTHORITY: Final = re.compile(r"[/?#\\]")
_TEXT: Final = re.compile(r"[!-~]+")


def problem(template: str) -> str | None:
    """Return why ``template`` is none; None: it is one. Empty means that there is no address."""
    return next((reason for wrong, reason in _checks(template) if wrong), None) if template else None


def _checks(template: str) -> Iterator[tuple[bool, str]]:
    yield len(template) > MOST_CHARACTERS, f"must have at most {MOST_CHARACTERS} characters"
    yield not _TEXT.fullmatch(template), "must be printable ASCII without spaces; escape other characters with %"
    yield not template.startswith("https://"), "must begin with https://"
    host = _AUTHORITY.split(template.removeprefix("https://"), 1)[0]
    yield "@" in host, "must not hold a user name or password"
    yield not _HOST.fullmatch(host), "must name a host, without placeholders in it"
    yield "{record}" not in template, "must hold {record}"
    yield bool(set(_PLACEHOLDER.sub("", template)) & set('{}<>"\\')), "may hold no braces but {object} and {record}"


def link(template: str, name: str, record: str) -> str | None:
    """Return the address of ``record``, of a kind that the CRM calls ``name``; None without a template."""
    if not template:
        return None
    given = {"object": name, "record": record}
    return _PLACEHOLDER.sub(lambda found: quote(given[found[1]], safe=""), template)
