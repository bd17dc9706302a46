"""Who was erased, and what is kept since when. Asked for by the API; done by the owners of shards and the keeper."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import instant, metadata, tenant_key

erased = Table(
    "erased",
    metadata,
    tenant_key(),
    Column("mark", LargeBinary, primary_key=True, comment="a keyed mark of an identity that must not come back"),
    Column("erasure", BigInteger, nullable=False),
)

erasing = Table(
    "erasing",
    metadata,
    Column("erasure", BigInteger, primary_key=True),
    Column("identity", Text, primary_key=True, comment="names the person until the erasure is finished, no longer"),
    tenant_key(primary_key=False),
    Column("shard", SmallInteger, nullable=False),
    Column("main", Boolean, nullable=False, comment="the person; else one of their further identities"),
    Column("stand_in", Text, nullable=False, comment="a random name: who stands where somebody has to"),
    instant("done_at"),
    Column("counts", JSONB, nullable=False, server_default="{}"),
)
Index("ix_erasing_identity", erasing.c.tenant, erasing.c.identity)

kept_since = Table(
    "kept_since",
    metadata,
    tenant_key(),
    Column("what", Text, primary_key=True, comment="activity, people, letters or aggregates"),
    Column("day", Date, nullable=False, comment="what lies before was deleted"),
)
