"""Layer 1: do people get in, and come back."""

from typing import Final

from services.metrics.catalogue.shape import Metric, Parameter

_DAYS_AFTER: Final = Parameter("n", ("1", "2", "3", "5", "10"))

ACCESS: Final = (
    Metric(
        code="M1",
        id="access.connected_by",
        title="People of the initial cohort who connected by the end of working day N after their day zero",
        layer=1,
        direction="up",
        combination="cumulative",
        parameter=_DAYS_AFTER,
        minimum=5,
        targets={"1": 80, "3": 70, "5": 90},
    ),
    Metric(
        code="M2",
        id="access.connected_on",
        title="People of the initial cohort who were active on working day N after their day zero",
        layer=1,
        direction="none",
        combination="cumulative",
        parameter=_DAYS_AFTER,
        minimum=5,
    ),
    Metric(
        code="M3",
        id="access.joiner_connected_by",
        title="People who joined later and connected by the end of working day N after their day zero",
        layer=1,
        direction="up",
        combination="cumulative",
        parameter=_DAYS_AFTER,
        minimum=3,
        trailing=56,
    ),
    Metric(
        code="M4",
        id="access.never_connected",
        title="People who have not connected since their day zero, at least one working day ago",
        layer=1,
        direction="down",
        combination="weekly",
    ),
    Metric(
        code="M5",
        id="access.return_rate",
        title="People who were active on two days or more within five working days after their first activity",
        layer=1,
        direction="up",
        combination="cumulative",
    ),
    Metric(
        code="M6",
        id="access.retained",
        title="People who were active in the seven days ending N days after their day zero",
        layer=1,
        direction="up",
        combination="cumulative",
        parameter=Parameter("n", ("30", "90", "300")),
    ),
    Metric(
        code="M7",
        id="access.last_seen_days",
        title="Working days since the last activity of a person",
        layer=1,
        direction="down",
        combination="person",
        unit="days",
    ),
    Metric(
        code="M8",
        id="licence.unused_share",
        title="Licences held for thirty days or more by people who were not active in the last thirty",
        layer=1,
        direction="down",
        combination="weekly",
    ),
    Metric(
        code="M9",
        id="sandbox.usage",
        title="People who used the sandbox in the four weeks before their go-live",
        layer=1,
        direction="up",
        combination="cumulative",
        inputs=("activity", "directory", "sandbox"),
        targets={"preparation": 70},
    ),
)
