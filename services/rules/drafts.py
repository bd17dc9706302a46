"""Drafts of rules: read and looked at like the rules that stand, and kept nowhere.

A draft says what differs from the pack's rule, or is a rule of one's own, given whole. Drafts may name each other; they
are taken all together, or not at all.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from services.rules.form import Problem, step
from services.rules.pack import PackError, Spec, Version, load, problems, reduced, specs_with, unfit

MOST: Final = 200
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COUNTED: Final = frozenset({"id", "version"})


def read(text: str) -> list[Any]:
    """Return the drafts of a text in YAML: a list of them, or a pack.

    Raises:
        PackError: it is neither, or holds what no rule can.
    """
    body: Any = load(text)
    given = body.get("rules") if isinstance(body, dict) else body
    if not isinstance(given, list):
        raise PackError([("/rules", "must be a list of rules")])
    if not _plain(given):
        raise PackError([("/rules", "holds a value that no rule can, such as a date without quotes")])
    return given


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _plain(each) for name, each in value.items())
    return value is None or isinstance(value, str | int)


def checked(given: list[Any], versions: Mapping[str, Version]) -> dict[str, Spec]:
    """Return what each draft says itself, by id, given the ``versions`` that the tenant has made.

    Raises:
        PackError: something is wrong with any of them.
    """
    if not 1 <= len(given) <= MOST:
        raise PackError([("/rules", f"must be 1 to {MOST} rules")])
    drafts: dict[str, Spec] = {}
    wrong: list[Problem] = []
    places: dict[str, str] = {}
    for number, spec in enumerate(given):
        place = step("/rules", number)
        rule = spec.get("id") if isinstance(spec, dict) else None
        if not isinstance(rule, str) or _ID.fullmatch(rule) is None:
            wrong.append(Problem(step(place, "id"), "must be the id of a rule"))
        elif rule in places:
            wrong.append(Problem(step(place, "id"), "is the id of another draft as well"))
        else:
            places[rule] = place
            drafts[rule] = reduced(rule, {name: value for name, value in spec.items() if name not in _COUNTED})
            wrong += [_at(place, each) for each in unfit(rule, drafts[rule])]
    if not wrong:
        specs = specs_with(amid(versions, drafts))
        wrong = [_at(places[rule], each) for rule, draft in drafts.items() for each in problems(rule, draft, specs)]
    if wrong:
        raise PackError(wrong)
    return drafts


def amid(versions: Mapping[str, Version], drafts: Mapping[str, Spec]) -> dict[str, Version]:
    """Return ``versions`` with ``drafts`` in the place of the newest, as those that would follow them."""
    numbers = {rule: versions[rule].number if rule in versions else 0 for rule in drafts}
    return {**versions, **{rule: Version(numbers[rule] + 1, spec) for rule, spec in drafts.items()}}


def _at(place: str, problem: Problem) -> Problem:
    return Problem(f"{place}{problem.pointer}", problem.reason)
