"""What a recipient is still owed of an alert: a comparison of what stands with what they were told, without memory.

Whoever was told of an opening is told of the end, once, and of a mistake, once; whoever was not told of it never hears
of its end.
"""

from typing import Final

from services.hearing.shape import RESTATED, SNOOZED, Alert, Standing, Told, What

STANDING: Final[dict[What, Standing]] = {
    "opened": "open",
    "raised": "open",
    "reopened": "open",
    "handed_over": "open",
    "resolved": "resolved",
    "corrected": "corrected",
}
"""What a recipient takes an alert for after they were told so."""


def owed(alert: Alert, told: Told | None, *, hears: bool, heard_before: bool = False) -> What | None:
    """Return what a recipient must be told of ``alert``; None: nothing.

    ``hears``: it concerns them now. ``heard_before``: somebody else was told of it in their place.
    """
    if alert.ended:
        return _end(alert, told)
    if not hears or alert.suppressed_by is not None or alert.state == SNOOZED:
        return None
    if told is None:
        return "handed_over" if heard_before else "opened"
    if told.standing != "open":
        return "reopened"
    return "raised" if _raised(alert, told) else None


def _end(alert: Alert, told: Told | None) -> What | None:
    if told is None or told.standing == "corrected":
        return None
    if alert.resolution == RESTATED:
        return "corrected"
    return "resolved" if told.standing == "open" else None


def _raised(alert: Alert, told: Told) -> bool:
    now, then = alert.loudness, told.loudness
    return now[0] > then[0] or (now[1] and not then[1])
