"""What may have stood in the way of those who did not come to a launch: refused logins, managers who are away too.

It is told where there is data for it: no refused login that is known is no proof that there was none.
"""

from datetime import datetime

from services.aggregator.domain.findings import REFUSED, REFUSED_LAST
from services.aggregator.domain.waves import Rollout, Straggler


def last_refused(person: Straggler, before: datetime) -> dict[str, object]:
    """Return when a login of the person was refused last, if one was; unknown where single events are gone."""
    if person.refused is None:
        return {REFUSED_LAST: None}
    last = max((at for at in person.refused if at < before), default=None)
    return {} if last is None else {REFUSED_LAST: last.isoformat()}


def obstacles(rollout: Rollout, end: datetime) -> dict[str, object]:
    """Return how many managers are among those who had not connected before ``end``, and how many were refused."""
    missing = [each for each in rollout.stragglers if each.connected_at is None or each.connected_at >= end]
    refused = sum(any(at < end for at in each.refused or ()) for each in missing)
    gone = any(each.refused is None for each in missing)
    return {
        "managers_missing": sum(each.leads for each in missing),
        **({REFUSED: None if gone else refused} if gone or refused else {}),
    }
