"""Who may do what: tenants, keys, sources and what the API remembers of requests. Written by the API."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import instant, metadata, tenant_key, written

tenant = Table(
    "tenant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    Column("clock", Text, nullable=False, server_default="wall"),
    Column("day_counting", Text, nullable=False, server_default="working"),
    Column("work_days", ARRAY(SmallInteger), nullable=False, server_default="{1,2,3,4,5}"),
    Column("holidays", ARRAY(Date), nullable=False, server_default="{}"),
    Column("first_day_of_week", SmallInteger, nullable=False, server_default="1"),
    Column("connected_by", Text, nullable=False, server_default="activity"),
    Column("min_group", Integer, nullable=False, server_default="5"),
    Column("individual_visibility", Text, nullable=False, server_default="manager"),
    Column(
        "instants",
        Text,
        nullable=False,
        server_default="exact",
        comment="how exact answers on a person are: exact or day",
    ),
    Column("labels", JSONB, nullable=False, server_default="{}"),
    written(),
    written("updated_at"),
    Column("fields", JSONB, comment="the field registry; null: the default"),
    Column("roles", JSONB, nullable=False, server_default="{}", comment="what each role is expected to do"),
    Column("retention", JSONB, nullable=False, server_default="{}", comment="days kept; empty: the installation's"),
    instant("quality_approved_at"),
    Column("activity_from", Date, comment="the first UTC day whose activity is all there; null: it always was"),
    CheckConstraint("clock in ('wall', 'event')", name="clock"),
    CheckConstraint("day_counting in ('working', 'calendar')", name="day_counting"),
    CheckConstraint("connected_by in ('activity', 'login')", name="connected_by"),
    CheckConstraint("instants in ('exact', 'day')", name="instants"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True, comment="the public part of the key"),
    Column("tenant", Text, ForeignKey("tenant.id", ondelete="CASCADE"), comment="null: every tenant (admin)"),
    Column("secret_hash", LargeBinary, nullable=False, comment="SHA-256 of the secret part"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("person", Text, comment="the person the key is bound to"),
    instant("expires_at"),
    instant("revoked_at"),
    written(),
)

source = Table(
    "source",
    metadata,
    Column("id", Text, primary_key=True),
    tenant_key(primary_key=False),
    Column("kind", Text, nullable=False),
    Column("secrets", ARRAY(LargeBinary), nullable=False, comment="sealed; each enough to open"),
    Column("options", JSONB, nullable=False, server_default="{}"),
    written(),
    written("updated_at"),
    instant("logins_until"),
)

access_log = Table(
    "access_log",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="empty: many people, none of them named"),
    Column("people", Integer, nullable=False, server_default="1"),
    written("at"),
)
Index("ix_access_log_tenant_seq", access_log.c.tenant, access_log.c.seq)

administration = Table(
    "administration",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    written("at"),
    Column("tenant", Text, comment="null: of no tenant"),
    Column("actor", Text, nullable=False, comment="the id of a key, or an account of PostgreSQL and its program"),
    Column("action", Text, nullable=False, comment="made, changed or deleted"),
    Column("kind", Text, nullable=False, comment="tenant, key, source, rule, subscription or feed"),
    Column("name", Text, nullable=False, comment="the id of what it was done to"),
    Column("parts", ARRAY(Text), nullable=False, server_default="{}", comment="what changed, without values"),
    comment="who administered what; written by triggers, whoever changes the tables",
)
Index("ix_administration_tenant_seq", administration.c.tenant, administration.c.seq)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True, comment="key id and tenant"),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    written(),
)

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
