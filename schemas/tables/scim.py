"""What identity providers say: groups, their members, and how a tenant reads them. Written by the API."""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Identity, Index, Table, Text, func

from schemas.tables.columns import metadata, tenant_key, written

scim_group = Table(
    "scim_group",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("external_id", Text),
    written(),
    written("updated_at"),
)
Index("ix_scim_group_tenant_name", scim_group.c.tenant, func.lower(scim_group.c.name))

scim_member = Table(
    "scim_member",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("joined", BigInteger, Identity(always=True), nullable=False, comment="the order in which people joined"),
    ForeignKeyConstraint(
        ["tenant", "group_id"],
        ["scim_group.tenant", "scim_group.id"],
        name="fk_scim_member_group_id",
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["tenant", "user_id"], ["person.tenant", "person.user_id"], name="fk_scim_member_user_id", ondelete="CASCADE"
    ),
)
Index("ix_scim_member_tenant_user_id", scim_member.c.tenant, scim_member.c.user_id)

scim_rules = Table(
    "scim_rules",
    metadata,
    tenant_key(),
    Column("team_prefix", Text, nullable=False),
    Column("role_prefix", Text, nullable=False),
    Column("others", Text, nullable=False, comment="what groups without a prefix are: team, role or none"),
)
