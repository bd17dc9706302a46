"""Native intake.

Revision: 0002
Follows: 0001
Written: 2026-11-22 09:06:55.717608
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alias_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True, comment="who the identity was decided to be; null: undecided"),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alias_change")),
    )
    op.create_index("ix_alias_change_tenant_identity", "alias_change", ["tenant", "identity"], unique=False)
    op.create_table(
        "identity_day",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column(
            "user_id",
            sa.Text(),
            nullable=False,
            comment="an identity that is one of several of a person: what the person's days are made of",
        ),
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
        sa.PrimaryKeyConstraint("tenant", "user_id", "day", name=op.f("pk_identity_day")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "letter_position",
        sa.Column("partition", sa.SmallInteger(), nullable=False, comment="of the dead-letter topic"),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column(
            "anchor",
            sa.BigInteger(),
            nullable=True,
            comment="mark of the record before next_offset: tells a replaced log",
        ),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_letter_position")),
    )
    op.create_table(
        "person_link",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column(
            "user_id", sa.Text(), nullable=True, comment="the person it counts for; null: several could be meant"
        ),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("candidates", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.CheckConstraint(
            "how in ('alias', 'external_id', 'email', 'self', 'ambiguous')", name=op.f("ck_person_link_how")
        ),
        sa.PrimaryKeyConstraint("tenant", "identity", name=op.f("pk_person_link")),
    )
    op.create_index("ix_person_link_tenant_user_id", "person_link", ["tenant", "user_id"], unique=False)
    op.create_table(
        "sighting",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column(
            "mark", sa.Uuid(), nullable=False, comment="of an e-mail that the identity's events carried, or that it is"
        ),
        sa.PrimaryKeyConstraint("tenant", "identity", "mark", name=op.f("pk_sighting")),
    )
    op.create_index("ix_sighting_tenant_mark", "sighting", ["tenant", "mark"], unique=False)
    op.create_table(
        "alias",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False, comment="who the identity is; itself: nobody else"),
        sa.Column("actor", sa.Text(), nullable=False, comment="the key that decided"),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_alias_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "identity", name=op.f("pk_alias")),
    )
    op.create_index("ix_alias_tenant_user_id", "alias", ["tenant", "user_id"], unique=False)
    op.create_table(
        "scim_group",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_scim_group_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_scim_group")),
    )
    op.create_index(
        "ix_scim_group_tenant_name", "scim_group", ["tenant", sa.literal_column("lower(name)")], unique=False
    )
    op.create_table(
        "scim_rules",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("team_prefix", sa.Text(), nullable=False),
        sa.Column("role_prefix", sa.Text(), nullable=False),
        sa.Column("others", sa.Text(), nullable=False, comment="what groups without a prefix are: team, role or none"),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_scim_rules_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_scim_rules")),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("secrets", sa.ARRAY(sa.LargeBinary()), nullable=False, comment="sealed; each enough to open"),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("logins_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_source_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
    )
    op.create_table(
        "scim_member",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column(
            "joined",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="the order in which people joined",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "group_id"],
            ["scim_group.tenant", "scim_group.id"],
            name="fk_scim_member_group_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "user_id"],
            ["person.tenant", "person.user_id"],
            name="fk_scim_member_user_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "group_id", "user_id", name=op.f("pk_scim_member")),
    )
    op.create_index("ix_scim_member_tenant_user_id", "scim_member", ["tenant", "user_id"], unique=False)
    op.add_column(
        "dead_letter",
        sa.Column("letter", sa.Text(), nullable=True, comment="of a delivery: a function of what was delivered"),
    )
    op.add_column("dead_letter", sa.Column("source", sa.Text(), nullable=True))
    op.add_column("dead_letter", sa.Column("kind", sa.Text(), nullable=True))
    op.add_column(
        "dead_letter",
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
    )
    op.add_column("dead_letter", sa.Column("state", sa.Text(), server_default="open", nullable=False))
    op.add_column("dead_letter", sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "dead_letter",
        sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="of the last replay"),
    )
    op.alter_column(
        "dead_letter",
        "shard",
        existing_type=sa.SMALLINT(),
        nullable=True,
        comment="of a record of the events topic; null: a delivery that came in by a hook",
    )
    op.alter_column(
        "dead_letter",
        "log_offset",
        existing_type=sa.BIGINT(),
        comment="on the events topic; of a delivery, of its last letter",
        existing_nullable=False,
    )
    op.alter_column(
        "dead_letter",
        "mark",
        existing_type=sa.BIGINT(),
        nullable=True,
        existing_comment="of the record: a replayed log adds no second row",
    )
    op.alter_column(
        "dead_letter",
        "value",
        existing_type=postgresql.BYTEA(),
        comment="the record; of a delivery, its sealed letter",
        existing_nullable=True,
    )
    op.alter_column(
        "dead_letter", "reason", existing_type=sa.TEXT(), comment="the first of the reasons", existing_nullable=False
    )
    op.create_index(
        "ix_dead_letter_open", "dead_letter", ["tenant"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index("ix_dead_letter_tenant_id", "dead_letter", ["tenant", "id"], unique=False)
    op.create_unique_constraint(op.f("uq_dead_letter_letter"), "dead_letter", ["letter"])
    op.add_column(
        "directory_change",
        sa.Column("day", sa.Date(), nullable=True, comment="only what was done on this day changed; null: anything"),
    )
    op.create_index(
        "ix_directory_change_days",
        "directory_change",
        ["queued_at"],
        unique=False,
        postgresql_where=sa.text("day IS NOT NULL"),
    )
    op.add_column(
        "person", sa.Column("external_id", sa.Text(), nullable=True, comment="the key that another system has for them")
    )
    op.add_column(
        "person",
        sa.Column(
            "scim_id",
            sa.Text(),
            server_default=sa.text("(gen_random_uuid())::text"),
            nullable=True,
            comment="how an identity provider names them; null: it has deleted them",
        ),
    )
    op.add_column(
        "person",
        sa.Column("user_name", sa.Text(), nullable=True, comment="as the identity provider has it now; null: the key"),
    )
    op.add_column(
        "person",
        sa.Column(
            "scim",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what an identity provider said of them; null: nothing",
        ),
    )
    op.create_index("ix_person_tenant_external_id", "person", ["tenant", "external_id"], unique=False)
    op.create_index(
        "ix_person_tenant_mail",
        "person",
        ["tenant", sa.literal_column("(md5((tenant || chr(10)) || lower(btrim(email)))::uuid)")],
        unique=False,
    )
    op.create_index("ix_person_tenant_scim_id", "person", ["tenant", "scim_id"], unique=True)
    op.create_index(
        "ix_person_tenant_user_name",
        "person",
        ["tenant", sa.literal_column("lower(coalesce(user_name, user_id))")],
        unique=False,
    )
    op.add_column(
        "roster",
        sa.Column(
            "keys",
            sa.ARRAY(sa.Text()),
            nullable=True,
            comment="what identities were last recognised by: external id, mark of the e-mail",
        ),
    )
    op.add_column("source_seen", sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "tenant",
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the field registry; null: the default",
        ),
    )
    op.add_column(
        "wave_connection", sa.Column("reason", sa.Text(), nullable=True, comment="why it is unknown; null: it is known")
    )
    # --- by hand
    op.create_check_constraint(
        op.f("ck_dead_letter_state"), "dead_letter", "state in ('open', 'replayed', 'still-bad')"
    )
    op.create_check_constraint(op.f("ck_dead_letter_origin"), "dead_letter", "(shard is null) = (letter is not null)")
    # What was done on a day is now written once, in the row of length 1, as the amount of the day: the rows of longer
    # windows keep only what differs from the sum of the days they hold.
    op.execute("""
        create temp table day_amount on commit drop as
        select s.tenant, s.dimension, s.key, s.shard, s.day + n as day, s.a, s.u
        from (
            select tenant, dimension, key, shard, day, lead(day) over w as until,
                sum(actions) over w as a, sum(active_user_days) over w as u
            from window_delta where days = 1
            window w as (partition by tenant, dimension, key, shard order by day)
        ) s cross join lateral generate_series(0, coalesce(s.until - s.day, 1) - 1) as n
        where s.a <> 0 or s.u <> 0
    """)
    op.execute("update window_delta set actions = 0, active_user_days = 0 where days = 1")
    op.execute("""
        insert into window_delta as w (tenant, dimension, key, days, day, shard, actions, active_user_days)
        select tenant, dimension, key, days, day, shard, sum(a), sum(u)
        from (
            select tenant, dimension, key, 1 as days, day, shard, a, u from day_amount
            union all
            select tenant, dimension, key, days, day, shard, -a, -u from day_amount, unnest(array[7, 28]) as days
            union all
            select tenant, dimension, key, days, day + days, shard, a, u from day_amount, unnest(array[7, 28]) as days
        ) c
        group by tenant, dimension, key, days, day, shard having sum(a) <> 0 or sum(u) <> 0
        on conflict (tenant, dimension, key, days, day, shard) do update set
            actions = w.actions + excluded.actions, active_user_days = w.active_user_days + excluded.active_user_days
    """)
    op.execute("""
        delete from window_delta
        where (licensed, active, logged_in, actions, active_user_days, revision) = (0, 0, 0, 0, 0, 0)
    """)
    # Which of a tenant's sources told of its logins was not kept: until the next one comes, it may be any of them.
    op.execute("""
        update source_seen s set last_login_at = least(s.last_event_at, l.at)
        from (select tenant, max(last_login_at) as at from person_day group by tenant) l
        where l.tenant = s.tenant and l.at is not null
    """)
