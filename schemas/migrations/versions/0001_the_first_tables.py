"""The first tables.

Revision: 0001
Follows: None
Written: 2026-11-22 05:21:45.693193
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

APPEND_ONLY = """
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$
"""

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_log",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_access_log")),
    )
    op.create_table(
        "alert_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="opened, updated, raised, acknowledged, resolved, reopened, restated",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="evaluator, or the key that did it"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "body",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the alert as it stood after the change",
        ),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alert_change")),
    )
    op.create_index("ix_alert_change_tenant_alert_seq", "alert_change", ["tenant", "alert", "seq"], unique=False)
    op.create_table(
        "claimed",
        sa.Column("identity", sa.Uuid(), nullable=False, comment="of (tenant, source, id)"),
        sa.Column("mark", sa.Integer(), nullable=False, comment="of the payload: another one is a conflict"),
        sa.Column("claimed_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_claimed")),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=True),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False, comment="of the record: a replayed log adds no second row"),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
        sa.UniqueConstraint("shard", "log_offset", "mark", name=op.f("uq_dead_letter_shard_log_offset_mark")),
    )
    op.create_index(
        "ix_dead_letter_unpublished", "dead_letter", ["id"], unique=False, postgresql_where=sa.text("NOT published")
    )
    op.create_table(
        "directory_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_directory_change")),
    )
    op.create_index("ix_directory_change_shard_seq", "directory_change", ["shard", "seq"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.Text(), nullable=False, comment="key id and tenant"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_installation")),
    )
    op.create_table(
        "log_gap",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("from_offset", sa.BigInteger(), nullable=False),
        sa.Column("to_offset", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_gap")),
    )
    op.create_table(
        "person_day",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False, comment="'' for events without a user"),
        sa.Column("day", sa.Date(), nullable=False, comment="in the tenant's time zone"),
        sa.Column("events", sa.Integer(), server_default="0", nullable=False),
        sa.Column("logins", sa.Integer(), server_default="0", nullable=False),
        sa.Column("actions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("qualifying", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_qualifying_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "user_id", "day", name=op.f("pk_person_day")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "position",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "anchor",
            sa.BigInteger(),
            nullable=True,
            comment="mark of the record before next_offset: tells a replaced log",
        ),
        sa.Column(
            "epoch", sa.BigInteger(), server_default="0", nullable=False, comment="raised at each takeover: the fence"
        ),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("drained_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("next_offset >= 0", name=op.f("ck_position_next_offset")),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_position")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "roster",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column(
            "terms",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the terms the windows count this person under",
        ),
        sa.PrimaryKeyConstraint("tenant", "user_id", name=op.f("pk_roster")),
    )
    op.create_table(
        "source_seen",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "shard", name=op.f("pk_source_seen")),
    )
    op.create_table(
        "tally",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False, comment="-1: what the API writes"),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("folded", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicates", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("conflicts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("late", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unmapped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dead_letters", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "shard", name=op.f("pk_tally")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "tenant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("clock", sa.Text(), server_default="wall", nullable=False),
        sa.Column("day_counting", sa.Text(), server_default="working", nullable=False),
        sa.Column("work_days", sa.ARRAY(sa.SmallInteger()), server_default="{1,2,3,4,5}", nullable=False),
        sa.Column("holidays", sa.ARRAY(sa.Date()), server_default="{}", nullable=False),
        sa.Column("first_day_of_week", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("connected_by", sa.Text(), server_default="activity", nullable=False),
        sa.Column("min_group", sa.Integer(), server_default="5", nullable=False),
        sa.Column("individual_visibility", sa.Text(), server_default="manager", nullable=False),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("clock in ('wall', 'event')", name=op.f("ck_tenant_clock")),
        sa.CheckConstraint("connected_by in ('activity', 'login')", name=op.f("ck_tenant_connected_by")),
        sa.CheckConstraint("day_counting in ('working', 'calendar')", name=op.f("ck_tenant_day_counting")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
    )
    op.create_table(
        "wave_connection",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("wave", sa.Text(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("num", sa.Integer(), nullable=False),
        sa.Column("den", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "wave", "n", name=op.f("pk_wave_connection")),
    )
    op.create_table(
        "window_delta",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("days", sa.SmallInteger(), nullable=False, comment="the length of the window: 1, 7 or 28"),
        sa.Column("day", sa.Date(), nullable=False, comment="the as-of day from which the differences hold"),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("licensed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("active", sa.Integer(), server_default="0", nullable=False),
        sa.Column("logged_in", sa.Integer(), server_default="0", nullable=False),
        sa.Column("actions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("active_user_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "dimension", "key", "days", "day", "shard", name=op.f("pk_window_delta")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "alert",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("suppressed_by", sa.Text(), nullable=True),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_key", sa.Text(), nullable=False),
        sa.Column("wave", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("window", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("audience", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("episode", sa.Integer(), server_default="1", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_alert_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_alert")),
        sa.UniqueConstraint("tenant", "fingerprint", name=op.f("uq_alert_tenant_fingerprint")),
    )
    op.create_index(
        "ix_alert_feed",
        "alert",
        ["tenant", sa.literal_column("opened_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False, comment="the public part of the key"),
        sa.Column("tenant", sa.Text(), nullable=True, comment="null: every tenant (admin)"),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the secret part"),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("person", sa.Text(), nullable=True, comment="the person the key is bound to"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_api_key_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
    )
    op.create_table(
        "evaluation",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_evaluation_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_evaluation")),
    )
    op.create_table(
        "membership",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False, comment="0001-01-01: from the beginning"),
        sa.Column("valid_to", sa.Date(), nullable=True, comment="the first day it no longer holds; null: open"),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("manager", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_membership_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "user_id", "valid_from", name=op.f("pk_membership")),
    )
    op.create_index("ix_membership_tenant_manager", "membership", ["tenant", "manager"], unique=False)
    op.create_index("ix_membership_tenant_team", "membership", ["tenant", "team"], unique=False)
    op.create_table(
        "person",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("licensed_from", sa.Date(), nullable=True),
        sa.Column("licensed_to", sa.Date(), nullable=True, comment="the last licensed day, included; null: open"),
        sa.Column("kind", sa.Text(), server_default="human", nullable=False),
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="the optional columns as given",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_person_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "user_id", name=op.f("pk_person")),
    )
    op.create_table(
        "wave",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("go_live", sa.Date(), nullable=False),
        sa.Column("scope", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("sponsor", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_wave_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_wave")),
    )
    op.execute(APPEND_ONLY)
    op.execute(
        "create trigger append_only before update or delete or truncate on alert_change "
        "for each statement execute function refuse_change()"
    )
