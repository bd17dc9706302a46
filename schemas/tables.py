"""The tables of Uptake, in SQLAlchemy Core. Migrations are written from them; SQL lives in the ``store`` rooms.

Who writes what: the API writes tenants, keys, the directory and waves, and acknowledges alerts; an aggregator writes
facts and windows of the shards it owns; the evaluator writes connections and alerts. Nobody else writes.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _instant(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _written(name: str = "created_at") -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _tenant(*, primary_key: bool = True) -> Column[object]:
    return Column("tenant", Text, ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


def _count(name: str) -> Column[object]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _part(name: str) -> Column[object]:
    return Column(name, Integer, nullable=False, server_default="0")


# ---------------------------------------------------------------- written by the API

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
    Column("labels", JSONB, nullable=False, server_default="{}"),
    _written(),
    _written("updated_at"),
    CheckConstraint("clock in ('wall', 'event')", name="clock"),
    CheckConstraint("day_counting in ('working', 'calendar')", name="day_counting"),
    CheckConstraint("connected_by in ('activity', 'login')", name="connected_by"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True, comment="the public part of the key"),
    Column("tenant", Text, ForeignKey("tenant.id", ondelete="CASCADE"), comment="null: every tenant (admin)"),
    Column("secret_hash", LargeBinary, nullable=False, comment="SHA-256 of the secret part"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("person", Text, comment="the person the key is bound to"),
    _instant("expires_at"),
    _instant("revoked_at"),
    _written(),
)

person = Table(
    "person",
    metadata,
    _tenant(),
    Column("user_id", Text, primary_key=True),
    Column("name", Text),
    Column("email", Text),
    Column("licensed_from", Date),
    Column("licensed_to", Date, comment="the last licensed day, included; null: open"),
    Column("kind", Text, nullable=False, server_default="human"),
    Column("attributes", JSONB, nullable=False, server_default="{}", comment="the optional columns as given"),
    _written(),
    _written("updated_at"),
)

membership = Table(
    "membership",
    metadata,
    _tenant(),
    Column("user_id", Text, primary_key=True),
    Column("valid_from", Date, primary_key=True, comment="0001-01-01: from the beginning"),
    Column("valid_to", Date, comment="the first day it no longer holds; null: open"),
    Column("team", Text),
    Column("role", Text),
    Column("manager", Text),
)
Index("ix_membership_tenant_team", membership.c.tenant, membership.c.team)
Index("ix_membership_tenant_manager", membership.c.tenant, membership.c.manager)

directory_change = Table(
    "directory_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    _written("queued_at"),
)
Index("ix_directory_change_shard_seq", directory_change.c.shard, directory_change.c.seq)

wave = Table(
    "wave",
    metadata,
    _tenant(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("go_live", Date, nullable=False),
    Column("scope", JSONB, nullable=False, server_default="{}"),
    Column("sponsor", Text),
    _written(),
)

access_log = Table(
    "access_log",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("subject", Text, nullable=False),
    _written("at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True, comment="key id and tenant"),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    _written(),
)

# ---------------------------------------------------------------- written by the owner of a shard

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

position = Table(
    "position",
    metadata,
    Column("shard", SmallInteger, primary_key=True),
    Column("next_offset", BigInteger, nullable=False, server_default="0"),
    Column("anchor", BigInteger, comment="mark of the record before next_offset: tells a replaced log"),
    Column("epoch", BigInteger, nullable=False, server_default="0", comment="raised at each takeover: the fence"),
    Column("owner", Text),
    _instant("drained_at"),
    _written("updated_at"),
    CheckConstraint("next_offset >= 0", name="next_offset"),
    postgresql_with={"fillfactor": "50"},
)

log_gap = Table(
    "log_gap",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("from_offset", BigInteger, nullable=False),
    Column("to_offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    _written("noticed_at"),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text),
    Column("shard", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("mark", BigInteger, nullable=False, comment="of the record: a replayed log adds no second row"),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("reason", Text, nullable=False),
    _instant("received_at"),
    Column("published", Boolean, nullable=False, server_default="false"),
    _written(),
    UniqueConstraint("shard", "log_offset", "mark"),
)
Index("ix_dead_letter_unpublished", dead_letter.c.id, postgresql_where=~dead_letter.c.published)

claimed = Table(
    "claimed",
    metadata,
    Column("identity", Uuid, primary_key=True, comment="of (tenant, source, id)"),
    Column("mark", Integer, nullable=False, comment="of the payload: another one is a conflict"),
    Column("claimed_on", Date, nullable=False),
)

person_day = Table(
    "person_day",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user_id", Text, primary_key=True, comment="'' for events without a user"),
    Column("day", Date, primary_key=True, comment="in the tenant's time zone"),
    _part("events"),
    _part("logins"),
    _part("actions"),
    _part("qualifying"),
    _instant("first_at", nullable=False),
    _instant("last_at", nullable=False),
    _instant("first_login_at"),
    _instant("last_login_at"),
    _instant("first_qualifying_at"),
    postgresql_with={"fillfactor": "80"},
)

roster = Table(
    "roster",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("terms", JSONB, nullable=False, comment="the terms the windows count this person under"),
)

window_delta = Table(
    "window_delta",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("days", SmallInteger, primary_key=True, comment="the length of the window: 1, 7 or 28"),
    Column("day", Date, primary_key=True, comment="the as-of day from which the differences hold"),
    Column("shard", SmallInteger, primary_key=True),
    _part("licensed"),
    _part("active"),
    _part("logged_in"),
    _part("actions"),
    _part("active_user_days"),
    _part("revision"),
    postgresql_with={"fillfactor": "70"},
)

tally = Table(
    "tally",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, comment="-1: what the API writes"),
    _count("version"),
    _count("folded"),
    _count("duplicates"),
    _count("conflicts"),
    _count("late"),
    _count("unmapped"),
    _count("dead_letters"),
    _instant("newest"),
    postgresql_with={"fillfactor": "50"},
)

source_seen = Table(
    "source_seen",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    _instant("last_event_at", nullable=False),
    _count("events"),
)

# ---------------------------------------------------------------- written by the evaluator

evaluation = Table(
    "evaluation",
    metadata,
    _tenant(),
    _count("version"),
    _instant("as_of"),
    _written("evaluated_at"),
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
)

alert = Table(
    "alert",
    metadata,
    _tenant(),
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
    _instant("opened_at", nullable=False),
    _instant("updated_at", nullable=False),
    _instant("resolved_at"),
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
    _instant("as_of", nullable=False),
    Column("body", JSONB, nullable=False, comment="the alert as it stood after the change"),
    _written("at"),
)
Index("ix_alert_change_tenant_alert_seq", alert_change.c.tenant, alert_change.c.alert, alert_change.c.seq)
