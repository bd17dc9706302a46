"""The queue of whom the rules are to judge anew.

Whatever changes what a rule rests on writes it in its own transaction; an evaluation takes what its snapshot holds, in
the transaction of what it finds.
"""

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Final

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.scope import ALL, LAUNCH
from services.aggregator.domain.speaking import Speaker
from services.aggregator.store.arrays import texts
from services.postgres import Connection

LONGEST_LAUNCH: Final = timedelta(days=60)
"""Within so many days after a go-live its last checkpoint has come, whatever the calendar."""


async def take(tx: Connection, tenant: str) -> set[Subject]:
    """Take everything that waits off the queue."""
    rows = await tx.fetch("DELETE FROM to_judge WHERE tenant = $1 RETURNING kind, key", tenant)
    return {Subject(row["kind"], row["key"]) for row in rows}


_QUEUE: Final = """
INSERT INTO to_judge (tenant, kind, key)
SELECT $1, kind, key FROM unnest($2::text::text[], $3::text::text[]) AS s(kind, key)
"""


async def queue(tx: Connection, tenant: str, subjects: Collection[Subject]) -> None:
    """Queue ``subjects``."""
    if subjects:
        ordered = sorted(subjects)
        await tx.execute(_QUEUE, tenant, texts([each.kind for each in ordered]), texts([each.key for each in ordered]))


_LAUNCHES: Final = """
INSERT INTO to_judge (tenant, kind, key)
SELECT $1, $2, w.id FROM wave w WHERE w.tenant = $1 AND (
    w.go_live BETWEEN $4::date AND $5::date
    OR EXISTS (
        SELECT FROM alert a WHERE a.tenant = $1 AND a.subject_kind = 'user' AND a.subject_key = ANY($3::text[])
        AND a.wave = w.id AND (a.resolved_at IS NULL OR a.resolved_at >= $6::date)))
"""


async def queue_launches(tx: Connection, tenant: str, users: Collection[str], low: date, high: date) -> None:
    """Queue the launches that what ``users`` did from ``low`` to ``high`` may change: who connected, and when."""
    since = low - LONGEST_LAUNCH if low - date.min > LONGEST_LAUNCH else date.min
    await tx.execute(_LAUNCHES, tenant, LAUNCH, sorted(users), since, high, low)


_CHILDREN: Final = """
INSERT INTO to_judge (tenant, kind, key)
SELECT DISTINCT $1, subject_kind, subject_key FROM alert
WHERE tenant = $1 AND rule = ANY($2::text[]) AND (resolved_at IS NULL OR resolved_at >= $3)
    AND subject_kind <> 'wave' AND NOT (subject_kind = $4 AND subject_key = $5) AND CASE $4
        WHEN 'tenant' THEN true WHEN 'wave' THEN wave = $6 ELSE subject_kind = 'user' AND evidence ->> 'team' = $5 END
"""


async def queue_children(tx: Connection, tenant: str, speakers: Iterable[Speaker]) -> None:
    """Queue whom the alerts are about that ``speakers`` speak for."""
    for subject, wave, since, rules in speakers:
        if rules is None:
            await queue(tx, tenant, [Subject(ALL, "")])
        else:
            await tx.execute(_CHILDREN, tenant, sorted(rules), since, *subject, wave)
