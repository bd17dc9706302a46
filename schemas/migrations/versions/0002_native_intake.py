"""Native intake.

Revision: 0002
Follows: 0001
Written: 2026-11-22 08:21:02.754634
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
        "person_link",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column(
            "user_id", sa.Text(), nullable=True, comment="the person it counts for; null: several could be meant"
        ),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("candidates", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
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
        "directory_change",
        sa.Column("day", sa.Date(), nullable=True, comment="only what was done on this day changed; null: anything"),
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
        ["tenant", sa.literal_column("(md5(tenant || chr(10) || lower(btrim(email)))::uuid)")],
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
    op.add_column(
        "tenant",
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the field registry; null: the default",
        ),
    )
