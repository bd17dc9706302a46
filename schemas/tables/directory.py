"""Who works where and with what licence, and what waits to be counted anew. Written by the API."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    Numeric,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.mails import MAIL_MARK
from schemas.tables.columns import metadata, tenant_key, written

person = Table(
    "person",
    metadata,
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    Column("name", Text),
    Column("email", Text),
    written(),
    written("updated_at"),
    Column("external_id", Text, comment="the key that another system has for them"),
    Column(
        "scim_id",
        Text,
        server_default=text("(gen_random_uuid())::text"),
        comment="how an identity provider names them; null: it has deleted them",
    ),
    Column("user_name", Text, comment="as the identity provider has it now; null: the key"),
    Column("scim", JSONB, comment="what an identity provider said of them; null: nothing"),
    Column("time_zone", Text, comment="null: the tenant's"),
    Column("calendar", Text, comment="whose public holidays they have, such as PT or DE-BY; null: the tenant's"),
    Column("active_from", Date),
    Column("active_to", Date, comment="the last day, included; null: open"),
)
Index("ix_person_tenant_scim_id", person.c.tenant, person.c.scim_id, unique=True)
Index("ix_person_tenant_user_name", person.c.tenant, func.lower(func.coalesce(person.c.user_name, person.c.user_id)))
Index("ix_person_tenant_external_id", person.c.tenant, person.c.external_id)
Index("ix_person_tenant_mail", person.c.tenant, text(f"({MAIL_MARK.format(tenant='tenant', mail='email')})"))
Index("ix_person_time_zone", person.c.tenant, person.c.time_zone, postgresql_where=person.c.time_zone.is_not(None))

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
    Column("kind", Text, nullable=False, server_default="human"),
    Column("function", Text),
    Column("location", Text),
    Column("segment", Text),
    Column("champion", Boolean, nullable=False, server_default="false"),
    Column("leadership", Boolean, nullable=False, server_default="false"),
    Column("opted_out", Boolean, nullable=False, server_default="false"),
    Column("work_days", ARRAY(SmallInteger), comment="of who works part time, as ISO numbers; null: the tenant's"),
)
Index("ix_membership_tenant_team", membership.c.tenant, membership.c.team)
Index("ix_membership_tenant_manager", membership.c.tenant, membership.c.manager)

licence = Table(
    "licence",
    metadata,
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    Column("licensed_from", Date, primary_key=True),
    Column("licensed_to", Date, comment="the last licensed day, included; null: open"),
    Column("price", Numeric, comment="a month"),
    CheckConstraint("licensed_to >= licensed_from", name="order"),
)

absence = Table(
    "absence",
    metadata,
    tenant_key(),
    Column("user_id", Text, primary_key=True),
    Column("first", Date, primary_key=True),
    Column("last", Date, nullable=False, comment="included"),
    Column("kind", Text, nullable=False, server_default="leave"),
    CheckConstraint('"last" >= "first"', name="order"),
)

directory_change = Table(
    "directory_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    written("queued_at"),
    Column("day", Date, comment="only what was done on this day changed; null: anything"),
)
Index("ix_directory_change_shard_seq", directory_change.c.shard, directory_change.c.seq)
Index("ix_directory_change_days", directory_change.c.queued_at, postgresql_where=directory_change.c.day.is_not(None))

alias = Table(
    "alias",
    metadata,
    tenant_key(),
    Column("identity", Text, primary_key=True),
    Column("user_id", Text, nullable=False, comment="who the identity is; itself: nobody else"),
    Column("actor", Text, nullable=False, comment="the key that decided"),
    written("decided_at"),
)
Index("ix_alias_tenant_user_id", alias.c.tenant, alias.c.user_id)

alias_change = Table(
    "alias_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("before", Text, comment="who the identity was decided to be; null: undecided"),
    Column("after", Text),
    Column("actor", Text, nullable=False),
    written("at"),
)
Index("ix_alias_change_tenant_identity", alias_change.c.tenant, alias_change.c.identity)

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
