"""What the rules said of each window of a subject: why an alert was opened, or was not. One row a window, kept true."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from services.aggregator.domain.alerts import alert_id, plain
from services.aggregator.domain.findings import Evaluation
from services.aggregator.store.arrays import dates, numbers, optional, texts
from services.postgres import Connection

PART: Final = 5_000
"""So many rows are written at once."""
_json: Final = msgspec.json.Encoder().encode

_SAVE: Final = """
INSERT INTO rule_evaluation AS e (tenant, rule, subject_kind, subject_key, window_to, window_from, rule_version,
    revision, outcome, reason, num, den, baseline, p, alert, as_of)
SELECT $1, rule, kind, key, until, since, version, 0, outcome, reason, num, den, baseline::jsonb, p, alert, $2
FROM unnest($3::text::text[], $4::text::text[], $5::text::text[], $6::text::date[], $7::text::date[],
    $8::text::int[], $9::text::text[], $10::text::text[], $11::text::bigint[], $12::text::bigint[],
    $13::text::text[], $14::text::float8[], $15::text::text[])
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
    rows = [each for _, each in sorted(last.items())]
    for start in range(0, len(rows), PART):
        await tx.execute(_SAVE, tenant, as_of, *_columns(tenant, rows[start : start + PART]))


def _columns(tenant: str, rows: Sequence[Evaluation]) -> tuple[str, ...]:
    """Return ``rows`` by column."""
    return (
        texts([each.rule for each in rows]),
        texts([each.subject.kind for each in rows]),
        texts([each.subject.key for each in rows]),
        dates([each.window_to for each in rows]),
        dates([each.window_from for each in rows]),
        numbers([each.version for each in rows]),
        texts([each.outcome.value for each in rows]),
        optional([each.reason for each in rows]),
        numbers([each.num for each in rows]),
        numbers([each.den for each in rows]),
        optional([None if each.baseline is None else _json(plain(each.baseline)).decode() for each in rows]),
        numbers([None if each.p is None else float(each.p) for each in rows]),
        optional([None if each.fingerprint is None else alert_id(tenant, each.fingerprint) for each in rows]),
    )
