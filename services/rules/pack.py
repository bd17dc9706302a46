"""The packs: rules as they come with the product, and as a tenant has changed them.

A text becomes rules only when nothing in it is wrong; whoever wrote it is told of every place that is. What a tenant
changes is kept as the difference from the pack's rule, so that a better pack reaches it too.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from services.rules import lint
from services.rules.form import Problem
from services.rules.grammar import form_of
from services.rules.shape import Json, Rule

Spec: TypeAlias = Mapping[str, Json]
PACKS: Final = ("adoption", "operations")
OWN: Final = "own"
"""The pack of the rules that a tenant has made itself."""
FIXED: Final = ("id", "family", "kind", "predicate")
"""What a tenant cannot change of a pack's rule: who wants that makes a rule of its own."""
RESERVED: Final = ("backtest",)
"""What stands in the place of a rule in the addresses of the API."""
_DEEPEST: Final = 5
_LEVELS: Final = 10


class Version(NamedTuple):
    """A tenant's own version of a rule. ``spec``: what differs from the pack's; None: nothing does any more."""

    number: int
    spec: Spec | None


class PackError(ValueError):
    """What is wrong in a pack, each with the place where it stands."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer or '/'}: {reason}" for pointer, reason in errors))
        self.errors = list(errors)


class _Loader(yaml.CSafeLoader):
    """YAML without a name that stands twice: the second would silently take the place of the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ANN401, FBT001, FBT002 - as PyYAML has it
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, "this name stands here twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text: str) -> object:
    """Return what YAML says.

    Raises:
        PackError: it is no YAML, or of a kind that a pack has no use for.
    """
    try:
        _look(text)
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        raise _error(error.problem_mark, error.problem or "is no YAML") from error
    except PackError:
        raise
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PackError([("", "is no YAML that can be read")]) from error


def _look(text: str) -> None:
    """Refuse what would fill the memory or the stack before it is built: aliases, and too many levels."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise _error(event.start_mark, "an alias")
        if depth > _LEVELS:
            raise _error(event.start_mark, "too many levels")


def _error(mark: Any, reason: str) -> PackError:  # noqa: ANN401 - a mark of either parser
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return PackError([("", f"{where}{reason}")])


def parse(text: str) -> list[Rule]:
    """Return the rules of a pack.

    Raises:
        PackError: something in it is wrong.
    """
    return [rule_of(spec, pack=pack) for pack, spec in _specs(text)]


def _specs(text: str) -> list[tuple[str, dict[str, Any]]]:
    body: Any = load(text)
    if found := lint.of_pack(body):
        raise PackError(found)
    return [(body["pack"], spec) for spec in body["rules"]]


def rule_of(spec: Spec, *, pack: str, version: int | None = None) -> Rule:
    """Return the rule that ``spec``, of which nothing is wrong, describes."""
    named: dict[str, Any] = {name: _frozen(value) for name, value in spec.items()}
    named.setdefault("family", named["id"])
    if version is not None:
        named["version"] = version
    return Rule(**{"pack": pack, "seed": "", "rationale": "", **named})


def _frozen(value: Json) -> object:
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(each) for name, each in value.items()})
    return value


def spec_of(rule: Rule) -> dict[str, Json]:
    """Return the whole of a rule as JSON, with what it leaves to be understood."""
    return {name: _thawed(getattr(rule, name)) for name in Rule.__dataclass_fields__ if name not in ("pack", "version")}


def _thawed(value: Any) -> Json:  # noqa: ANN401 - what a rule holds
    if isinstance(value, tuple):
        return [_thawed(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _thawed(each) for name, each in value.items()}
    return value  # type: ignore[no-any-return]


def patched(base: Spec, difference: Spec) -> dict[str, Json]:
    """Return ``base`` with ``difference`` put over it: objects part by part, and null takes a part away (RFC 7396)."""
    found = dict(base)
    for name, value in difference.items():
        before = found.get(name)
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            found[name] = patched(before if isinstance(before, dict) else {}, value)
        else:
            found[name] = value
    return found


def whole(rule: str, difference: Spec) -> dict[str, Json]:
    """Return the whole specification of a tenant's rule, given what it says itself."""
    if rule in SPECS:
        return patched(SPECS[rule], difference)
    return {"id": rule, **{name: value for name, value in difference.items() if value not in (None, "")}}


def reduced(rule: str, given: Spec) -> dict[str, Json]:
    """Return what of ``given`` differs from the pack's rule; of a rule that is in no pack, all of it."""
    return dict(given) if rule not in DEFAULT else _difference(spec_of(DEFAULT[rule]), given)


def _difference(base: Spec, given: Spec) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in given.items():
        before = base.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := _difference(before, value):
                found[name] = inner
        elif value != before or type(value) is not type(before):
            found[name] = value
    return found


def problems(rule: str, difference: Spec, specs: Mapping[str, Spec]) -> list[Problem]:
    """Return what is wrong with a tenant's rule amid the ``specs`` of all the others."""
    if found := unfit(rule, difference):
        return found
    spec = whole(rule, difference)
    return list(lint.of_rule(spec, {**specs, rule: spec}))


def unfit(rule: str, difference: Spec) -> list[Problem]:
    """Return where a tenant's rule does not have the form of one, whatever the others are."""
    if found := list(_untouchable(rule, difference)):
        return found
    spec = whole(rule, difference)
    if spec["id"] != rule:
        return [Problem("/id", "must be the id of the address")]
    return list(form_of(spec.get("predicate"), explained=rule in SPECS).problems(spec, ""))


def _untouchable(rule: str, difference: Spec) -> Iterator[Problem]:
    if rule in RESERVED:
        yield Problem("/id", "is the name of something else")
    if "version" in difference:
        yield Problem("/version", "is counted by itself")
    if _deeper(difference, _DEEPEST):
        yield Problem("", "is nested too deeply")
    if rule in SPECS:
        for name in FIXED:
            if name in difference:
                yield Problem(f"/{name}", "cannot be changed: make a rule of your own")


def _deeper(value: object, than: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return bool(inner) and (than == 0 or any(_deeper(each, than - 1) for each in inner))


def specs_with(versions: Mapping[str, Version]) -> dict[str, Spec]:
    """Return the whole specification of every rule of a tenant with these newest ``versions``."""
    own = {rule: whole(rule, spec) for rule, (_, spec) in versions.items() if spec is not None}
    return {**SPECS, **own}


def merged(default: Mapping[str, Rule], versions: Mapping[str, Version]) -> Mapping[str, Rule]:
    """Return the rules that stand for a tenant with these newest ``versions``.

    Every version, and every return to the pack's, has a number of its own. One that a newer pack has made wrong is not
    used: the pack's rule stands.
    """
    found, specs = dict(default), specs_with(versions)
    for rule, (number, difference) in versions.items():
        packed = default.get(rule)
        version = number + (packed.version if packed else 0)
        if difference is not None and not problems(rule, difference, specs):
            found[rule] = rule_of(specs[rule], pack=packed.pack if packed else OWN, version=version)
        elif packed is not None:
            found[rule] = rule_of(SPECS[rule], pack=packed.pack, version=version)
    return MappingProxyType(found)


_PACKED: Final = tuple(
    each for pack in PACKS for each in _specs((files("schemas") / "rules" / f"{pack}.yaml").read_text(encoding="utf-8"))
)
SPECS: Final[Mapping[str, Spec]] = MappingProxyType({str(spec["id"]): spec for _, spec in _PACKED})
"""The rules that come with the product as they are written, by id."""
DEFAULT: Final[Mapping[str, Rule]] = MappingProxyType(
    {str(spec["id"]): rule_of(spec, pack=pack) for pack, spec in _PACKED}
)
"""The rules that come with the product, by id."""
