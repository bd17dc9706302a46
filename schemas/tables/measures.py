"""What the metrics are made of and what they are. Written by the measurer, which alone leads in a cluster.

The facts (``activity``, ``source_hour``) are written by the owners of the shards, and ``dirty`` by whoever changes
what a metric rests on.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import count, instant, metadata, tenant_key, written

activity = Table(
    "activity",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False, comment="the identity as the event has it; empty: without a user"),
    instant("at", nullable=False),
    Column("identity", Uuid, nullable=False, comment="of (tenant, source, id): orders what happened at one instant"),
    Column("kind", Text, nullable=False, comment="the type of the event"),
    Column("source", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("environment", Text, comment="null: production"),
    Column("behalf", Text, comment="on whose behalf it was done"),
    Column("object", Text),
    Column("record", Text),
    Column("detail", Text, comment="the report, feature, task, module or kind of meeting"),
    Column("bulk", Boolean),
    Column("automatic", Boolean),
    Column("rows", BigInteger),
    instant("received_at", nullable=False),
    postgresql_partition_by="RANGE (at)",
)
Index("ix_activity_person", activity.c.tenant, activity.c.user_id, activity.c.at)
Index("ix_activity_review", activity.c.tenant, activity.c.at, postgresql_where=activity.c.kind == "meeting.held")

record_change = Table(
    "record_change",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("record", Text, nullable=False),
    instant("at", nullable=False),
    Column("identity", Uuid, nullable=False, comment="of the row of activity that it goes with"),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("user_id", Text, comment="the identity that did it; null: nobody, or on behalf of somebody else"),
    Column("owner", Text),
    Column("stage", Text),
    Column("close_date", Date),
    Column("forecast", Text, comment="its category, where that is declared"),
    Column("fields", JSONB, comment="the states of the fields that were told"),
    comment="what was told of records in production, as long as activity is kept",
)
Index("ix_record_change_record", record_change.c.tenant, record_change.c.record)
Index(
    "ix_record_change_owner",
    record_change.c.tenant,
    record_change.c.owner,
    record_change.c.at,
    postgresql_where=record_change.c.owner != func.coalesce(record_change.c.user_id, ""),
)

record_base = Table(
    "record_base",
    metadata,
    tenant_key(),
    Column("object", Text, primary_key=True),
    Column("record", Text, primary_key=True),
    instant("as_of", nullable=False),
    Column("state", JSONB, nullable=False, comment="the record when activity before as_of was dropped"),
)

dirty = Table(
    "dirty",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="person, record, tenant, or week: who is hidden in it"),
    Column("subject", Text, nullable=False, comment="the user; of a record its object, a tab and its key"),
    Column("low", Date, comment="the first UTC day something changed on; null: from the beginning"),
    Column("high", Date, comment="the last; null: without end"),
    Column("subjects", ARRAY(Text), comment="of a whole batch, in place of subject; null: one subject"),
    Column("lows", ARRAY(Date), comment="by subject, as low"),
    Column("highs", ARRAY(Date)),
    Column(
        "queued_at",
        instant("queued_at").type,
        nullable=False,
        server_default=func.now(),
        comment="infinity: it cannot be measured, and waits for somebody to look",
    ),
)
Index("ix_dirty_tenant_seq", dirty.c.tenant, dirty.c.seq)
Index("ix_dirty_packed", dirty.c.tenant, dirty.c.seq, postgresql_where=dirty.c.subjects.is_not(None))

career = Table(
    "career",
    metadata,
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    Column("day_zero", Date),
    Column("first_on", Date, comment="the first day of qualifying activity since day zero, in their time zone"),
)

contribution = Table(
    "contribution",
    metadata,
    tenant_key(),
    Column("kind", Text, primary_key=True, comment="person, record or meeting"),
    Column("subject", Text, primary_key=True),
    Column("week", Date, primary_key=True, comment="its first day"),
    Column("wave", Text),
    Column("team", Text),
    Column("role", Text),
    Column("function", Text),
    Column("location", Text),
    Column("segment", Text),
    Column("owner", Text, comment="of a record or meeting: whose it is"),
    Column("reason", Text, comment="why nothing is expected of the person; null: something is"),
    Column("counts", JSONB, nullable=False, comment="code to [num, den], see services.metrics.shape"),
    Column("moves", JSONB, comment="the groups of days that were spent elsewhere, by offset from the first day"),
    instant("known_at", nullable=False),
)
Index("ix_contribution_week", contribution.c.tenant, contribution.c.week)
Index("ix_contribution_team", contribution.c.tenant, contribution.c.team, contribution.c.week)
Index(
    "ix_contribution_moves",
    contribution.c.tenant,
    contribution.c.week,
    postgresql_where=contribution.c.moves.is_not(None),
)
Index(
    "ix_contribution_owner",
    contribution.c.tenant,
    contribution.c.owner,
    contribution.c.week,
    postgresql_where=contribution.c.owner.is_not(None),
)

metric_cell = Table(
    "metric_cell",
    metadata,
    tenant_key(),
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("metric", Text, primary_key=True, comment="its code, with a parameter behind a colon"),
    Column("day", Date, primary_key=True, comment="the day it counts on; of a week its first"),
    count("num"),
    count("den"),
    instant("known_at", nullable=False),
    Column("revision", Integer, nullable=False, server_default="0", comment="how often it changed when it was final"),
    Column("step", Date, comment="of what adds up: the day it is told with; null: not to who may see no single one"),
    postgresql_with={"fillfactor": "70"},
)

metric_past = Table(
    "metric_past",
    metadata,
    tenant_key(),
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("known_at", instant("known_at").type, primary_key=True, comment="from when on it was thought to be so"),
    count("num"),
    count("den"),
    Column("revision", Integer, nullable=False, server_default="0"),
)

measured = Table(
    "measured",
    metadata,
    tenant_key(),
    Column("since", Date, comment="the first week there is"),
    Column("week", Date, comment="the newest; who waits in dirty is yet to be counted in"),
    Column("until", instant("until").type, comment="when that week ends where the tenant is"),
    Column("as_of", instant("as_of").type, comment="the tenant's now when all was measured last"),
    Column("cut", instant("cut").type, comment="what was queued until then is being measured; null: nothing is"),
    Column("through", instant("through").type, comment="who was queued until then is measured, people first"),
    Column("known_at", instant("known_at").type, comment="from when on what was measured last is known"),
    written("measured_at"),
)

measured_week = Table(
    "measured_week",
    metadata,
    tenant_key(),
    Column("week", Date, primary_key=True, comment="its first day"),
    instant("known_at", nullable=False),
    comment="weeks that everybody was counted in, and since when: what changes later is a restatement when it is final",
)

hidden_group = Table(
    "hidden_group",
    metadata,
    tenant_key(),
    Column("week", Date, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("reason", Text, nullable=False, comment="small, or complement: it would tell a small one"),
)

regrouped = Table(
    "regrouped",
    metadata,
    tenant_key(),
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("week", Date, primary_key=True),
    instant("known_at", nullable=False),
    comment="since when the same people count in a group, and it is as hidden as now, where that was not so before",
)

source_hour = Table(
    "source_hour",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("hour", instant("hour").type, primary_key=True, comment="of the event time"),
    Column("shard", SmallInteger, primary_key=True),
    count("events"),
    postgresql_with={"fillfactor": "70"},
)

silence = Table(
    "silence",
    metadata,
    tenant_key(),
    Column("source", Text, primary_key=True),
    Column("since", instant("since").type, primary_key=True),
    instant("opened_at", nullable=False),
    instant("until"),
    Column("expected", BigInteger, nullable=False, comment="events expected meanwhile"),
    Column("seen", BigInteger, nullable=False, comment="events dated meanwhile that came all the same"),
    Column("state", Text, nullable=False, comment="silent, over (what was missed is still missing) or filled"),
)

backfill = Table(
    "backfill",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    instant("started_at", nullable=False),
    instant("finished_at"),
    Column("report", JSONB, nullable=False, server_default="{}"),
)
Index("ix_backfill_tenant_id", backfill.c.tenant, backfill.c.id)

erasure = Table(
    "erasure",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="a keyed mark of the person, no name"),
    Column("mode", Text, nullable=False),
    Column("actor", Text, nullable=False),
    written("asked_at"),
    instant("finished_at"),
    Column("report", JSONB, nullable=False, server_default="{}"),
)
Index("ix_erasure_tenant_id", erasure.c.tenant, erasure.c.id)
