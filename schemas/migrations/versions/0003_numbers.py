"""Numbers people trust.

Revision: 0003
Follows: 0002
Written: 2026-11-22 13:28:05.376592
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "activity",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column(
            "user_id", sa.Text(), nullable=False, comment="the identity as the event has it; empty: without a user"
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "identity",
            sa.Uuid(),
            nullable=False,
            comment="of (tenant, source, id): orders what happened at one instant",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="the type of the event"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True, comment="null: production"),
        sa.Column("behalf", sa.Text(), nullable=True, comment="on whose behalf it was done"),
        sa.Column("object", sa.Text(), nullable=True),
        sa.Column("record", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("close_date", sa.Date(), nullable=True),
        sa.Column("forecast", sa.Text(), nullable=True, comment="its category, where that is declared"),
        sa.Column("detail", sa.Text(), nullable=True, comment="the report, feature, task, module or kind of meeting"),
        sa.Column("bulk", sa.Boolean(), nullable=True),
        sa.Column("automatic", sa.Boolean(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the states of the fields that were told",
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "ix_activity_owner", "activity", ["tenant", "owner"], unique=False, postgresql_where=sa.text("owner != user_id")
    )
    op.create_index("ix_activity_person", "activity", ["tenant", "user_id", "at"], unique=False)
    op.create_index(
        "ix_activity_record",
        "activity",
        ["tenant", "record"],
        unique=False,
        postgresql_where=sa.text("record IS NOT NULL"),
    )
    op.create_index(
        "ix_activity_review",
        "activity",
        ["tenant", "at"],
        unique=False,
        postgresql_where=sa.text("kind = 'meeting.held'"),
    )
    op.create_table(
        "backfill",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
    )
    op.create_index("ix_backfill_tenant_id", "backfill", ["tenant", "id"], unique=False)
    op.create_table(
        "dirty",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="person, record, tenant, or week: who is hidden in it"),
        sa.Column("subject", sa.Text(), nullable=False, comment="the user; of a record its object, a tab and its key"),
        sa.Column(
            "low", sa.Date(), nullable=True, comment="the first UTC day something changed on; null: from the beginning"
        ),
        sa.Column("high", sa.Date(), nullable=True, comment="the last; null: without end"),
        sa.Column(
            "queued_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="infinity: it cannot be measured, and waits for somebody to look",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_dirty")),
    )
    op.create_index("ix_dirty_tenant_seq", "dirty", ["tenant", "seq"], unique=False)
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="a keyed mark of the person, no name"),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
    )
    op.create_index("ix_erasure_tenant_id", "erasure", ["tenant", "id"], unique=False)
    op.create_table(
        "source_hour",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="of the event time"),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "hour", "shard", name=op.f("pk_source_hour")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "absence",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False, comment="included"),
        sa.Column("kind", sa.Text(), server_default="leave", nullable=False),
        sa.CheckConstraint('"last" >= "first"', name=op.f("ck_absence_order")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_absence_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "user_id", "first", name=op.f("pk_absence")),
    )
    op.create_table(
        "career",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("day_zero", sa.Date(), nullable=True),
        sa.Column(
            "first_on",
            sa.Date(),
            nullable=True,
            comment="the first day of qualifying activity since day zero, in their time zone",
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_career_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "user_id", name=op.f("pk_career")),
    )
    op.create_table(
        "contribution",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="person, record or meeting"),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False, comment="its first day"),
        sa.Column("wave", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("function", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True, comment="of a record or meeting: whose it is"),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="why nothing is expected of the person; null: something is"
        ),
        sa.Column(
            "counts",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="code to [num, den], see services.metrics.shape",
        ),
        sa.Column(
            "moves",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the groups of days that were spent elsewhere, by offset from the first day",
        ),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_contribution_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "kind", "subject", "week", name=op.f("pk_contribution")),
    )
    op.create_index(
        "ix_contribution_moves",
        "contribution",
        ["tenant", "week"],
        unique=False,
        postgresql_where=sa.text("moves IS NOT NULL"),
    )
    op.create_index(
        "ix_contribution_owner",
        "contribution",
        ["tenant", "owner", "week"],
        unique=False,
        postgresql_where=sa.text("owner IS NOT NULL"),
    )
    op.create_index("ix_contribution_team", "contribution", ["tenant", "team", "week"], unique=False)
    op.create_index("ix_contribution_week", "contribution", ["tenant", "week"], unique=False)
    op.create_table(
        "erased",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column(
            "mark", sa.LargeBinary(), nullable=False, comment="a keyed mark of an identity that must not come back"
        ),
        sa.Column("erasure", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_erased_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "mark", name=op.f("pk_erased")),
    )
    op.create_table(
        "erasing",
        sa.Column("erasure", sa.BigInteger(), nullable=False),
        sa.Column(
            "identity", sa.Text(), nullable=False, comment="names the person until the erasure is finished, no longer"
        ),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("main", sa.Boolean(), nullable=False, comment="the person; else one of their further identities"),
        sa.Column("stand_in", sa.Text(), nullable=False, comment="a random name: who stands where somebody has to"),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_erasing_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("erasure", "identity", name=op.f("pk_erasing")),
    )
    op.create_index("ix_erasing_identity", "erasing", ["tenant", "identity"], unique=False)
    op.create_table(
        "hidden_group",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="small, or complement: it would tell a small one"),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_hidden_group_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "week", "dimension", "key", name=op.f("pk_hidden_group")),
    )
    op.create_table(
        "kept_since",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="activity, people, letters or aggregates"),
        sa.Column("day", sa.Date(), nullable=False, comment="what lies before was deleted"),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_kept_since_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "what", name=op.f("pk_kept_since")),
    )
    op.create_table(
        "licence",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("licensed_from", sa.Date(), nullable=False),
        sa.Column("licensed_to", sa.Date(), nullable=True, comment="the last licensed day, included; null: open"),
        sa.Column("price", sa.Numeric(), nullable=True, comment="a month"),
        sa.CheckConstraint("licensed_to >= licensed_from", name=op.f("ck_licence_order")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_licence_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "user_id", "licensed_from", name=op.f("pk_licence")),
    )
    op.create_table(
        "measured",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=True, comment="the first week there is"),
        sa.Column("week", sa.Date(), nullable=True, comment="the newest; who waits in dirty is yet to be counted in"),
        sa.Column(
            "day",
            sa.Date(),
            nullable=True,
            comment="the tenant's today: as of its end the newest week tells of records",
        ),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True, comment="the end of that day"),
        sa.Column(
            "as_of", sa.DateTime(timezone=True), nullable=True, comment="the tenant's now when all was measured last"
        ),
        sa.Column(
            "cut",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="what was queued until then is being measured; null: nothing is",
        ),
        sa.Column(
            "through",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="who was queued until then is measured, people first",
        ),
        sa.Column(
            "known_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="from when on what was measured last is known",
        ),
        sa.Column("measured_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_measured_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_measured")),
    )
    op.create_table(
        "measured_week",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False, comment="its first day"),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_measured_week_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "week", name=op.f("pk_measured_week")),
        comment="weeks that everybody was counted in, and since when: what changes later is a restatement when it is final",
    )
    op.create_table(
        "metric_cell",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False, comment="its code, with a parameter behind a colon"),
        sa.Column("day", sa.Date(), nullable=False, comment="the day it counts on; of a week its first"),
        sa.Column("num", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("den", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "revision",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="how often it changed when it was final",
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_metric_cell_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "dimension", "key", "metric", "day", name=op.f("pk_metric_cell")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "metric_past",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "known_at", sa.DateTime(timezone=True), nullable=False, comment="from when on it was thought to be so"
        ),
        sa.Column("num", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("den", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_metric_past_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "dimension", "key", "metric", "day", "known_at", name=op.f("pk_metric_past")),
    )
    op.create_table(
        "record_base",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the record when activity before as_of was dropped",
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_record_base_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "object", "record", name=op.f("pk_record_base")),
    )
    op.create_table(
        "silence",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expected", sa.BigInteger(), nullable=False, comment="events expected meanwhile"),
        sa.Column("seen", sa.BigInteger(), nullable=False, comment="events dated meanwhile that came all the same"),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="silent, over (what was missed is still missing) or filled"
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_silence_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "source", "since", name=op.f("pk_silence")),
    )
    op.add_column("access_log", sa.Column("people", sa.Integer(), server_default="1", nullable=False))
    op.alter_column(
        "access_log",
        "subject",
        existing_type=sa.TEXT(),
        comment="empty: many people, none of them named",
        existing_nullable=False,
    )
    op.create_index("ix_access_log_tenant_seq", "access_log", ["tenant", "seq"], unique=False)
    op.add_column("membership", sa.Column("kind", sa.Text(), server_default="human", nullable=False))
    op.add_column("membership", sa.Column("function", sa.Text(), nullable=True))
    op.add_column("membership", sa.Column("location", sa.Text(), nullable=True))
    op.add_column("membership", sa.Column("segment", sa.Text(), nullable=True))
    op.add_column("membership", sa.Column("champion", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("membership", sa.Column("leadership", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("membership", sa.Column("opted_out", sa.Boolean(), server_default="false", nullable=False))
    op.add_column(
        "membership",
        sa.Column(
            "work_days",
            sa.ARRAY(sa.SmallInteger()),
            nullable=True,
            comment="of who works part time, as ISO numbers; null: the tenant's",
        ),
    )
    op.add_column("person", sa.Column("time_zone", sa.Text(), nullable=True, comment="null: the tenant's"))
    op.add_column(
        "person",
        sa.Column(
            "calendar",
            sa.Text(),
            nullable=True,
            comment="whose public holidays they have, such as PT or DE-BY; null: the tenant's",
        ),
    )
    op.add_column("person", sa.Column("active_from", sa.Date(), nullable=True))
    op.add_column(
        "person", sa.Column("active_to", sa.Date(), nullable=True, comment="the last day, included; null: open")
    )
    op.create_index(
        "ix_person_time_zone",
        "person",
        ["tenant", "time_zone"],
        unique=False,
        postgresql_where=sa.text("time_zone IS NOT NULL"),
    )
    op.add_column(
        "tenant",
        sa.Column(
            "instants",
            sa.Text(),
            server_default="exact",
            nullable=False,
            comment="how exact answers on a person are: exact or day",
        ),
    )
    op.add_column(
        "tenant",
        sa.Column(
            "roles",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="what each role is expected to do",
        ),
    )
    op.add_column(
        "tenant",
        sa.Column(
            "retention",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="days kept; empty: the installation's",
        ),
    )
    op.add_column("tenant", sa.Column("quality_approved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "tenant",
        sa.Column(
            "activity_from",
            sa.Date(),
            nullable=True,
            comment="the first UTC day whose activity is all there; null: it always was",
        ),
    )
    # --- by hand
    # What was written down of alerts stays as it is, but for the names of people who are erased.
    op.execute("""
        create or replace function refuse_change() returns trigger language plpgsql as $$
        begin
            if tg_op = 'TRUNCATE' or coalesce(current_setting('uptake.erasing', true), '') <> 'on' then
                raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
            end if;
            return null;
        end $$
    """)
    op.execute("""
        insert into installation (name, value)
        values ('erasure_key', gen_random_uuid()::text || gen_random_uuid()::text) on conflict (name) do nothing
    """)
    # Until now events were counted and not kept; one may lie a day ahead of its arrival.
    op.execute("""
        update tenant set activity_from = (now() at time zone 'UTC')::date + 2
        where exists (select from tally where tally.tenant = tenant.id and folded > 0)
    """)
    # Licences, the kind of an account and the optional columns were facts of a person without a history.
    op.execute("""
        insert into licence (tenant, user_id, licensed_from, licensed_to)
        select tenant, user_id, licensed_from, licensed_to from person where licensed_from <= coalesce(licensed_to, licensed_from)
    """)
    op.execute("""
        update membership m set kind = p.kind,
            function = p.attributes ->> 'function', location = p.attributes ->> 'location',
            segment = p.attributes ->> 'segment',
            champion = coalesce((p.attributes ->> 'champion')::boolean, false),
            leadership = coalesce((p.attributes ->> 'leadership')::boolean, false)
        from person p where p.tenant = m.tenant and p.user_id = m.user_id and (p.kind <> 'human' or p.attributes <> '{}')
    """)
    # A calendar was any text; the ones that are none are those of the tenant.
    op.execute("""
        update person set time_zone = attributes ->> 'time_zone',
            calendar = substring(upper(attributes ->> 'calendar') from '^[A-Z]{2}(?:-[A-Z0-9]{1,3})?$'),
            active_from = (attributes ->> 'active_from')::date, active_to = (attributes ->> 'active_to')::date
        where attributes <> '{}'
    """)
    for column in ("licensed_from", "licensed_to", "kind", "attributes"):
        op.drop_column("person", column)
    op.create_check_constraint(op.f("ck_tenant_instants"), "tenant", "instants in ('exact', 'day')")
    # The second wall between tenants: a session of the role uptake_tenant sees the rows of the tenant it was set to, and
    # without one none. Roles belong to the server: it may be there, another database may make it right now, or this
    # account may not make any. Partitions are reached through their table only.
    op.execute("""
        do $$ begin
            if to_regrole('uptake_tenant') is null then
                begin
                    create role uptake_tenant nologin;
                exception when duplicate_object or unique_violation or insufficient_privilege then null;
                end;
            end if;
            if to_regrole('uptake_tenant') is not null then
                begin
                    execute format('grant uptake_tenant to %I', current_user);
                exception when unique_violation or insufficient_privilege then null;
                end;
            end if;
        end $$
    """)
    op.execute("""
        do $$ declare
            name text;
            rule text;
            may text;
        begin
            for name, rule, may in
                select c.relname,
                    case when c.relname = 'tenant' then 'id' when c.relname = 'idempotency' then 'split_part(scope, ''/'', 3)'
                         when exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant') then 'tenant' end,
                    case when c.relname in ('access_log', 'alert_change', 'alias_change') then 'select, insert'
                         else 'select, insert, update, delete' end
                from pg_class c
                where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
                    and c.relname not in ('alembic_version', 'claimed')
            loop
                if rule is not null then
                    execute format('alter table %I enable row level security', name);
                    execute format('create policy own_tenant on %I using (%s = current_setting(''uptake.tenant'', true))', name, rule);
                end if;
                if to_regrole('uptake_tenant') is not null then
                    execute format('grant %s on %I to uptake_tenant', case when rule is null then 'select' else may end, name);
                end if;
            end loop;
            if to_regrole('uptake_tenant') is not null then
                execute format('grant usage on schema %I to uptake_tenant', current_schema());
            end if;
        end $$
    """)
