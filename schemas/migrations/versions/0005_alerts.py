"""Alerts a manager can trust.

Revision: 0005
Follows: 0004a
Written: 2026-11-22 15:36:30.561737
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "to_judge",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="user, team, role, wave, tenant, launch (of a wave), or all"
        ),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_to_judge")),
    )
    op.create_index("ix_to_judge_tenant_seq", "to_judge", ["tenant", "seq"], unique=False)
    op.create_table(
        "alert_cursor",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False, comment="topic: what was put on Kafka"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_alert_cursor_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "reader", name=op.f("pk_alert_cursor")),
    )
    op.create_table(
        "annotation",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="go-live, training, crm-change, cut-over, reset or other"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True, comment="the last day; null: it is one day"),
        sa.Column(
            "teams", sa.ARRAY(sa.Text()), server_default="{}", nullable=False, comment="empty like roles: everybody"
        ),
        sa.Column("roles", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_annotation_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_annotation")),
    )
    op.create_table(
        "backtest",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_backtest_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_backtest")),
    )
    op.create_table(
        "contact",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column(
            "role", sa.Text(), nullable=False, comment="a role of an audience: crm_owner, sponsor, data_owner, ..."
        ),
        sa.Column("address", sa.Text(), nullable=False, comment="a person of the directory, or an e-mail address"),
        sa.Column("kind", sa.Text(), nullable=False, comment="person or email"),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_contact_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "role", "address", name=op.f("pk_contact")),
        comment="who stands behind the roles that no directory tells",
    )
    op.create_table(
        "feed",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False, comment="the key that made it: it shows what that key may see"),
        sa.Column("person", sa.Text(), nullable=True, comment="the person that key is bound to"),
        sa.Column("filter", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_feed_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_feed")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_feed_token_hash")),
    )
    op.create_table(
        "rule_evaluation",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_key", sa.Text(), nullable=False),
        sa.Column("window_to", sa.Date(), nullable=False, comment="the last day of the window that was judged"),
        sa.Column("window_from", sa.Date(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="how often the outcome changed since it was first judged"
        ),
        sa.Column("outcome", sa.Text(), nullable=False, comment="breach, clear, held (neither), or not judged"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was not judged, or opened nothing all the same"),
        sa.Column("num", sa.BigInteger(), nullable=True),
        sa.Column("den", sa.BigInteger(), nullable=True),
        sa.Column("baseline", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("p", sa.Double(), nullable=True),
        sa.Column("alert", sa.Text(), nullable=True, comment="the alert it belongs to"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_rule_evaluation_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(
            "tenant", "rule", "subject_kind", "subject_key", "window_to", name=op.f("pk_rule_evaluation")
        ),
        comment="why an alert was opened or was not: one row for each window of a subject that a rule judged",
    )
    op.create_index(
        "ix_rule_evaluation_subject", "rule_evaluation", ["tenant", "subject_kind", "subject_key"], unique=False
    )
    op.create_table(
        "rule_version",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="counts the tenant's own versions; the newest stands"
        ),
        sa.Column(
            "spec",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the rule, or what differs from the pack's; null: as the pack has it again",
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_rule_version_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "rule", "number", name=op.f("pk_rule_version")),
    )
    op.create_table(
        "subscription",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="webhook, alertmanager, email or teams"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "url", sa.LargeBinary(), nullable=True, comment="sealed: it may open doors by itself; null: there is none"
        ),
        sa.Column(
            "secrets",
            sa.ARRAY(sa.LargeBinary()),
            server_default="{}",
            nullable=False,
            comment="sealed; the newest first",
        ),
        sa.Column("filter", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "options",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="budget, digest, language, to whom",
        ),
        sa.Column("key_id", sa.Text(), nullable=False, comment="the key that made it"),
        sa.Column(
            "person", sa.Text(), nullable=True, comment="the person that key is bound to: it tells what they may see"
        ),
        sa.Column("state", sa.Text(), server_default="active", nullable=False, comment="active, paused or disabled"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was disabled"),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "cursor", sa.BigInteger(), server_default="0", nullable=False, comment="changes up to here are planned"
        ),
        sa.Column(
            "mornings_to",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="mornings of people up to here are planned",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_subscription_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_subscription")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column(
            "message", sa.Text(), nullable=False, comment="the same message is the same id, whoever plans or sends it"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="change, group, digest, correction, notice"),
        sa.Column(
            "recipient",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="a person, an address; empty: the channel",
        ),
        sa.Column("alerts", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("changes", sa.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="waiting, sending, delivered, given_up or withdrawn"),
        sa.Column(
            "lane", sa.Text(), server_default="", nullable=False, comment="what arrives in its order; empty: in any"
        ),
        sa.Column(
            "attempts", sa.SmallInteger(), server_default="0", nullable=False, comment="since it was last asked for"
        ),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "lease",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="until then the one who took it may be sending it",
        ),
        sa.Column("told_on", sa.Date(), nullable=True, comment="the recipient's day it counts on in the budget"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "subscription"],
            ["subscription.tenant", "subscription.id"],
            name=op.f("fk_delivery_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("tenant", "subscription", "message", name=op.f("uq_delivery_tenant_subscription_message")),
    )
    op.create_index("ix_delivery_alerts", "delivery", ["alerts"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["tenant", "subscription", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_delivery_lane",
        "delivery",
        ["tenant", "subscription", "lane", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'sending')"),
    )
    op.create_index(
        "ix_delivery_lease",
        "delivery",
        ["tenant", "subscription", "lease"],
        unique=False,
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_delivery_recipient", "delivery", ["tenant", "subscription", "recipient", "told_on"], unique=False
    )
    op.create_table(
        "told",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False, comment="what they take it for: open, resolved or corrected"),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="the role of the audience they were told it in"),
        sa.Column("message", sa.Text(), nullable=False, comment="the delivery that told it"),
        sa.Column(
            "was",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what they took it for before that delivery; null: they did not know of it",
        ),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "subscription"],
            ["subscription.tenant", "subscription.id"],
            name=op.f("fk_told_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "subscription", "alert", "recipient", name=op.f("pk_told")),
        comment="what each person was last told of an alert: whoever got its opening gets its end",
    )
    op.create_index("ix_told_message", "told", ["tenant", "subscription", "message"], unique=False)
    op.create_table(
        "delivery_attempt",
        sa.Column("delivery", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False, comment="delivered, refused, unreachable, blocked or unknown"),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery"], ["delivery.id"], name=op.f("fk_delivery_attempt_delivery"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery", "number", name=op.f("pk_delivery_attempt")),
    )
    op.add_column("alert", sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alert", sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alert", sa.Column("snooze_reason", sa.Text(), nullable=True))
    op.add_column("alert", sa.Column("assignee", sa.Text(), nullable=True, comment="the person who takes care"))
    op.add_column(
        "alert", sa.Column("plan_on", sa.Date(), nullable=True, comment="the day by which they agreed to act")
    )
    op.add_column(
        "alert",
        sa.Column(
            "escalation",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="how many steps up it was carried",
        ),
    )
    op.add_column(
        "alert",
        sa.Column(
            "useful", sa.Boolean(), nullable=True, comment="what somebody said of it afterwards; null: nobody did"
        ),
    )
    op.add_column(
        "alert",
        sa.Column(
            "loud_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="since when it waits for an answer as loud as it is",
        ),
    )
    op.add_column(
        "alert",
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it is to be looked at again, whatever the facts",
        ),
    )
    op.create_index(
        "ix_alert_due", "alert", ["tenant", "due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index("ix_alert_rule", "alert", ["tenant", "rule"], unique=False)
    op.create_index("ix_alert_subject", "alert", ["tenant", "subject_kind", "subject_key"], unique=False)
    op.create_index(
        "ix_alert_wave",
        "alert",
        ["tenant", "wave"],
        unique=False,
        postgresql_where=sa.text("subject_kind IN ('user', 'wave')"),
    )
    op.add_column(
        "alert_change",
        sa.Column(
            "detail",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="the note, the reason, until when",
        ),
    )
    op.alter_column(
        "alert_change",
        "kind",
        existing_type=sa.TEXT(),
        comment="what happened to it, or what somebody did",
        existing_comment="opened, updated, raised, acknowledged, resolved, reopened, restated",
        existing_nullable=False,
    )
    op.create_index("ix_alert_change_tenant_seq", "alert_change", ["tenant", "seq"], unique=False)
    op.create_table_comment(
        "alert_change",
        "changes of a tenant are numbered in the order they are committed in: a reader's cursor skips none",
        existing_comment=None,
        schema=None,
    )
    # --- by hand
    op.execute("""
        do $$ declare
            name text;
            may text;
        begin
            for name, may in
                select c.relname,
                    case when c.relname in ('rule_version', 'delivery_attempt') then 'select, insert'
                         else 'select, insert, update, delete' end
                from pg_class c
                where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and not c.relispartition
                    and not c.relrowsecurity
                    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant')
                    and c.relname in ('rule_version', 'rule_evaluation', 'to_judge', 'annotation', 'backtest', 'contact',
                        'feed', 'subscription', 'alert_cursor', 'delivery', 'delivery_attempt', 'told')
            loop
                execute format('alter table %I enable row level security', name);
                execute format('create policy own_tenant on %I using (tenant = current_setting(''uptake.tenant'', true))', name);
                if to_regrole('uptake_tenant') is not null then
                    execute format('grant %s on %I to uptake_tenant', may, name);
                end if;
            end loop;
        end $$
    """)
    op.execute("update alert set acknowledged_at = updated_at where state = 'acknowledged'")
