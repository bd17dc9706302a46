"""Who works where and with what licence, and what waits to be counted anew. Written by the API."""

from sqlalchemy import BigInteger, Column, Date, Identity, Index, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import metadata, tenant_key, written

person = Table(
    "person",
    metadata,
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    Column("name", Text),
    Column("email", Text),
    Column("licensed_from", Date),
    Column("licensed_to", Date, comment="the last licensed day, included; null: open"),
    Column("kind", Text, nullable=False, server_default="human"),
    Column("attributes", JSONB, nullable=False, server_default="{}", comment="the optional columns as given"),
    written(),
    written("updated_at"),
)

membership = Table(
    "membership",
    metadata,
    tenant_key(),
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
    written("queued_at"),
)
Index("ix_directory_change_shard_seq", directory_change.c.shard, directory_change.c.seq)

wave = Table(
    "wave",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("go_live", Date, nullable=False),
    Column("scope", JSONB, nullable=False, server_default="{}"),
    Column("sponsor", Text),
    written(),
)
