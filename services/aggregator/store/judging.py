"""The queue of whom the rules are to judge anew.

Whatever changes what a rule rests on writes it in its own transaction; an evaluation takes what its snapshot holds, in
the transaction of what it finds.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Final

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.scope import ALL, LAUNCH
from services.aggregator.domain.speaking import Speaker
from services.aggregator.store.arrays import texts
from services.postgres import Connection

LONGEST_LAUNCH: Final = timedelta(days=60)
"""Within so many days after a go-live its last checkpoint has come, whatever the calendar."""


async def take(tx: Connection, tenant: str) -> tuple[set[Subject], datetime | None]:
    """Take everything that waits off the queue; return it, and since when the first of it waited."""
    rows = await tx.fetch("DELETE FROM to_judge WHERE tenant = $1 RETURNING kind, key, queued_at", tenant)
    return {Subject(row["kind"], row["key"]) for row in rows}, min((row["queued_at"] for row in rows), default=None)


_QUEUE: Final = """
INSERT INTO to_judge (tenant, kind, key, queued_at)
SELECT $1, kind, key, coalesce($4, now()) FROM unnest($2::text::text[], $3::text::text[]) AS s(kind, key)
"""


async def queue(tx: Connection, tenant: str, subjects: Collection[Subject], since: datetime | None = None) -> None:
    """Queue ``subjects``; ``since``: since when they have waited, None: from now on."""
    if subjects:
        kinds, keys = zip(*sorted(subjects), strict=True)
        await tx.execute(_QUEUE, tenant, texts(kinds), texts(keys), since)


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
