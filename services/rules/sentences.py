"""A rule in words: when it opens an alert, and when that is over."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from services.metrics.catalogue import METRICS
from services.rules.shape import Rule

Pair = tuple[str, str]
Params = Mapping[str, Any]

_SPANS: Final = {
    "week": ("week", "weeks"),
    "28d": ("span of four weeks", "spans of four weeks"),
    "month": ("month", "months"),
}
_BASES: Final = {"week1": "week 1", "trailing4": "the median of the four weeks before"}
SIGNALS: Final[Mapping[str, str]] = {
    "watermark": "what was acknowledged is not counted after {hours} h",
    "directory": "more than {share} % of the people have no manager, and lead nobody",
    "unmapped": "more than {share} % of the events, {count} at least, of people whom the directory does not know",
    "rejects": "more than {share} % of an hour's deliveries rejected, {count} at least",
    "deliveries": "nothing reached a subscription for {hours} h",
    "automation": "a person's account was active in {hours} hours of a day, or wrote {count} times in one hour",
    "restatement": "a final number changed by more than {points} points",
}


def opens(rule: Rule) -> str:
    """Return when a rule opens an alert."""
    return _CONDITIONS[rule.predicate](rule, rule.params)[0]


def closes(rule: Rule) -> str:
    """Return when it is over."""
    return _CONDITIONS[rule.predicate](rule, rule.params)[1]


def _person(_: Rule, params: Params) -> Pair:
    moment = "noon" if params["at"] == "noon" else "the end"
    return f"no activity by {moment} of D+{params['by']}", "activity, or the end of the licence"


def _joiner(_: Rule, params: Params) -> Pair:
    return (
        f"no activity by the end of the own D+{params['by']}, of who begins after the go-live",
        "activity, or the end of the licence",
    )


def _one_and_done(_: Rule, params: Params) -> Pair:
    return f"active on one day, and on none of the {params['after']} expected days after it", "a second active day"


def _lapsed(_: Rule, params: Params) -> Pair:
    often = f"active in {params['cadence']} of {params['weeks']} weeks"
    return f"{often}, then absent for {params['after']} expected days and {params['gaps']} times the usual gap", (
        "activity on two days"
    )


def _checkpoint(_: Rule, params: Params) -> Pair:
    return f"fewer than {params['below']} % connected by D+{params['n']}", (
        f"{params['recovers_at']} % connected, or the end of D+{params['until']}"
    )


def _drop(_: Rule, params: Params) -> Pair:
    base = _BASES[params["baseline"]]
    what = "" if params["metric"] in METRICS else "the actions of an active person: "
    lost = "people lost on balance" if not what else "people more doing less than doing more"
    return (
        (
            f"{what}{params['relative']} % or more below {base}, with {params['loss']} {lost}, "
            f"{_row(params)}; confirmed where chance explains it with {params['chance']} % at most, or "
            f"{_collapse(params)} and {params['collapse_share']} % are lost at once"
        ),
        f"less than {params['calm']} % below, {_times(params['calm_windows'], 'week')}",
    )


def _collapse(params: Params) -> str:
    least, up_to = params["collapse"], params.get("collapse_up_to")
    return f"{least} people" + ("" if up_to is None else f" ({least + 1} of more than {up_to})")


def _threshold(_: Rule, params: Params) -> Pair:
    name = _title(params)
    below = "below" in params
    edge, back = params["below" if below else "at_least"], params["closes_at"]
    limit = f"below {_aim(edge)}" if below else f"{_aim(edge)} or more"
    over = params.get("over_trailing")
    rise = "" if over is None else f" and {over} % of the four weeks before"
    span = params.get("window", "week")
    also, neither = _otherwise(params)
    content = f"{_aim(back)} or more" if below else f"below {_aim(back)}"
    return (
        f"{name}: {limit}{rise}, {_times(params['windows'], span)}{also}",
        f"{content}{neither}, {_times(params['close_windows'], span)}",
    )


def _otherwise(params: Params) -> Pair:
    """Return in which other ways a threshold opens, and what closes it then."""
    also = neither = ""
    if "companion" in params:
        name = params["companion"].replace("_", " ")
        also = f", or {name} below {params['companion_below']} %"
        neither = f" and {name} {params['companion_closes_at']} % or more"
    if "rise" in params:
        joined = _title({"metric": params["rise_with"]})
        also += f", or {params['rise']} points more in four weeks while this rose as well: {joined}"
        neither += " without such a rise"
    return also, neither


def _gap(rule: Rule, params: Params) -> Pair:
    others = f"the median of the {rule.subjects[0]}s"
    return f"{_title(params)}: {params['points']} points or more below {others}, {_row(params)}", (
        f"less than {params['closes_under']} points below"
    )


def _norm(_: Rule, params: Params) -> Pair:
    return (
        (
            f"{_title(params)}: below the target at the end of week {params['by_week']}, and not rising for "
            f"{params['trend_weeks']} weeks"
        ),
        "the target is reached, or the phase ends",
    )


def _projected(_: Rule, params: Params) -> Pair:
    return (
        (
            f"{_title(params)}: the line through the last {params['trend_weeks']} weeks ends below the target, "
            f"{params['days']} days before the end of the phase"
        ),
        "the line reaches the target, or the phase ends",
    )


def _sustained(_: Rule, params: Params) -> Pair:
    return f"{_title(params)}: {params['at_least']} % or more in {params['months']} final months in a row", (
        f"a month below {params['at_least']} %"
    )


def _shift(_: Rule, params: Params) -> Pair:
    return (
        (
            f"{_title(params)}: the total within {params['stable_within']} %, while a team or role lost "
            f"{params['lost']} % or more and another gained"
        ),
        "no group has lost so much",
    )


def _champions(_: Rule, params: Params) -> Pair:
    return f"a function without a champion, or fewer than one for {params['per']} people", "there are enough again"


def _sponsors(_: Rule, _params: Params) -> Pair:
    return "a live wave without a sponsor, where others have one", "each live wave has one"


def _busy_stale(_: Rule, params: Params) -> Pair:
    return (
        (
            f"in the busier half of the teams, and {params['stale']} % of close dates stale or fewer than "
            f"{params['next_step']} % of next steps current"
        ),
        "neither is so, for two weeks",
    )


def _parts(_: Rule, params: Params) -> Pair:
    listed = ", ".join(part if isinstance(part, str) else " or ".join(part) for part in params["rules"])
    return f"{_title(params)}: at its target, while {params['at_least']} of these are open: {listed}", (
        "fewer of them are open"
    )


def _silent(_: Rule, _params: Params) -> Pair:
    return "nothing came from a source in a time in which it usually sends", "it sends as it used to"


def _operations(_: Rule, params: Params) -> Pair:
    return SIGNALS[params["signal"]].format(**params), "it is so no more"


def _absent(_: Rule, params: Params) -> Pair:
    return str(params["opens"]), str(params["closes"])


def _title(params: Params) -> str:
    return METRICS[params["metric"]].named


def _aim(value: object) -> str:
    return "the target of the phase" if value == "target" else f"{value} %"


def _row(params: Params) -> str:
    return _times(params["windows"], "week")


def _times(number: int, span: str) -> str:
    one, several = _SPANS[span]
    return f"in one {one}" if number == 1 else f"in {number} {several} in a row"


_CONDITIONS: Final[Mapping[str, Callable[[Rule, Params], Pair]]] = {
    "person": _person,
    "joiner": _joiner,
    "one_and_done": _one_and_done,
    "lapsed": _lapsed,
    "checkpoint": _checkpoint,
    "drop": _drop,
    "threshold": _threshold,
    "gap": _gap,
    "norm": _norm,
    "projected": _projected,
    "sustained": _sustained,
    "shift": _shift,
    "champions": _champions,
    "sponsors": _sponsors,
    "busy_stale": _busy_stale,
    "parts": _parts,
    "silent": _silent,
    "operations": _operations,
    "absent": _absent,
}
