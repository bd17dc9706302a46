"""A sweep: a rule with one of its parameters at several values, each looked at like a draft. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.rules.drafts import amid, checked
from services.rules.form import Problem, step
from services.rules.pack import DEFAULT, PackError, Spec, Version, merged

MOST: Final = 20


def look(
    rule: str, parameter: str, values: Sequence[int], drafts: Mapping[str, Spec], versions: Mapping[str, Version]
) -> None:
    """Look at a sweep of ``rule`` amid ``drafts`` and the ``versions`` that the tenant has made.

    Raises:
        PackError: there is no such rule, it has no such parameter, or it cannot have one of the values.
    """
    rules = merged(DEFAULT, amid(versions, drafts))
    if rule not in rules:
        raise PackError([("/sweep/rule", "is no rule")])
    params = rules[rule].params
    known = sorted(name for name, value in params.items() if value == "target" or type(value) is int)
    if parameter not in known:
        raise PackError([("/sweep/parameter", f"must be one of: {', '.join(known) or 'nothing, it has no numbers'}")])
    own = drafts.get(rule) or (versions[rule].spec if rule in versions else None) or {}
    wrong = []
    for number, value in enumerate(values):
        place = step("/sweep/values", number)
        if value in values[:number]:
            wrong.append(Problem(place, "is there twice"))
            continue
        spec = {**own, "id": rule, "params": {**params, parameter: value}}
        others = [{**draft, "id": name} for name, draft in drafts.items() if name != rule]
        try:
            checked([spec, *others], versions)
        except PackError as error:
            wrong += [Problem(place, reason) for _, reason in error.errors[:1]]
    if wrong:
        raise PackError(wrong)
