"""What the rules said of each window of a subject: why an alert was opened, or was not. One row a window, kept true."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.aggregator.domain.alerts import alert_id, plain
from services.aggregator.domain.findings import Evaluation
from services.postgres import Connection

PART: Final = 5_000
"""So many rows are written at once."""

_SAVE: Final = """
INSERT INTO rule_evaluation AS e (tenant, rule, subject_kind, subject_key, window_to, window_from, rule_version,
    revision, outcome, reason, num, den, baseline, p, alert, as_of)
SELECT $1, rule, kind, key, until, since, version, 0, outcome, reason, num, den, baseline, p, alert, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::int[], $9::text[], $10::text[],
    $11::bigint[], $12::bigint[], $13::jsonb[], $14::float8[], $15::text[])
    AS r(rule, kind, key, until, since, version, outcome, reason, num, den, baseline, p, alert)
ON CONFLICT (tenant, rule, subject_kind, subject_key, window_to) DO UPDATE SET window_from = excluded.window_from,
    rule_version = excluded.rule_version, outcome = excluded.outcome, reason = excluded.reason, num = excluded.num,
    den = excluded.den, baseline = excluded.baseline, p = excluded.p, alert = excluded.alert, as_of = excluded.as_of,
    at = now(), revision = e.revision + (e.outcome <> excluded.outcome)::int
WHERE (e.window_from, e.rule_version, e.outcome, e.reason, e.num, e.den, e.baseline, e.p, e.alert)
    IS DISTINCT FROM (excluded.window_from, excluded.rule_version, excluded.outcome, excluded.reason, excluded.num,
        excluded.den, excluded.baseline, excluded.p, excluded.alert)
"""


async def save(tx: Connection, tenant: str, found: Sequence[Evaluation], as_of: datetime) -> None:
    """Write what changed of ``found``; of one window the last counts."""
    last = {(each.rule, each.subject, each.window_to): each for each in found}
    rows = [_row(tenant, each) for _, each in sorted(last.items())]
    for start in range(0, len(rows), PART):
        await tx.execute(_SAVE, tenant, as_of, *map(list, zip(*rows[start : start + PART], strict=True)))


def _row(tenant: str, each: Evaluation) -> tuple[object, ...]:
    return (
        each.rule,
        *each.subject,
        each.window_to,
        each.window_from,
        each.version,
        each.outcome.value,
        each.reason,
        each.num,
        each.den,
        None if each.baseline is None else plain(each.baseline),
        None if each.p is None else float(each.p),
        None if each.fingerprint is None else alert_id(tenant, each.fingerprint),
    )
