"""Connections, alerts and their history. Written by the evaluator; the API acknowledges."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import count, instant, metadata, tenant_key, written

evaluation = Table(
    "evaluation",
    metadata,
    tenant_key(),
    count("version"),
    instant("as_of"),
    written("evaluated_at"),
)

wave_connection = Table(
    "wave_connection",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("wave", Text, primary_key=True),
    Column("n", SmallInteger, primary_key=True),
    Column("num", Integer, nullable=False),
    Column("den", Integer, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("missing", ARRAY(Text), nullable=False),
    Column("reason", Text, comment="why it is unknown; null: it is known"),
)

alert = Table(
    "alert",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("severity", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("suppressed_by", Text),
    Column("subject_kind", Text, nullable=False),
    Column("subject_key", Text, nullable=False),
    Column("wave", Text),
    Column("title", Text, nullable=False),
    instant("opened_at", nullable=False),
    instant("updated_at", nullable=False),
    instant("resolved_at"),
    Column("resolution", Text),
    Column("window", JSONB, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("audience", JSONB, nullable=False),
    Column("action", Text, nullable=False),
    Column("episode", Integer, nullable=False, server_default="1"),
    Column("revision", Integer, nullable=False, server_default="0"),
    UniqueConstraint("tenant", "fingerprint"),
)
Index("ix_alert_feed", alert.c.tenant, alert.c.opened_at.desc(), alert.c.id.desc())

alert_change = Table(
    "alert_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("alert", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="opened, updated, raised, acknowledged, resolved, reopened, restated"),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False, comment="evaluator, or the key that did it"),
    instant("as_of", nullable=False),
    Column("body", JSONB, nullable=False, comment="the alert as it stood after the change"),
    written("at"),
)
Index("ix_alert_change_tenant_alert_seq", alert_change.c.tenant, alert_change.c.alert, alert_change.c.seq)
