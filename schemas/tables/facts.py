"""What was read from the log and what follows from it. Written by the owner of a shard."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import count, instant, metadata, part, written

position = Table(
    "position",
    metadata,
    Column("shard", SmallInteger, primary_key=True),
    Column("next_offset", BigInteger, nullable=False, server_default="0"),
    Column("anchor", BigInteger, comment="mark of the record before next_offset: tells a replaced log"),
    Column("epoch", BigInteger, nullable=False, server_default="0", comment="raised at each takeover: the fence"),
    Column("owner", Text),
    instant("drained_at"),
    written("updated_at"),
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
    written("noticed_at"),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text),
    Column("shard", SmallInteger, comment="of a record of the events topic; null: a delivery that came in by a hook"),
    Column("log_offset", BigInteger, nullable=False, comment="on the events topic; of a delivery, of its last letter"),
    Column("mark", BigInteger, comment="of the record: a replayed log adds no second row"),
    Column("key", LargeBinary),
    Column("value", LargeBinary, comment="the record; of a delivery, its sealed letter"),
    Column("reason", Text, nullable=False, comment="the first of the reasons"),
    instant("received_at"),
    Column("published", Boolean, nullable=False, server_default="false"),
    written(),
    Column("letter", Text, unique=True, comment="of a delivery: a function of what was delivered"),
    Column("source", Text),
    Column("kind", Text),
    Column("reasons", JSONB, nullable=False, server_default="[]"),
    Column("state", Text, nullable=False, server_default="open"),
    instant("replayed_at"),
    Column("outcome", JSONB, comment="of the last replay"),
    UniqueConstraint("shard", "log_offset", "mark"),
    CheckConstraint("state in ('open', 'replayed', 'still-bad')", name="state"),
    CheckConstraint("(shard is null) = (letter is not null)", name="origin"),
)
Index("ix_dead_letter_tenant_id", dead_letter.c.tenant, dead_letter.c.id)
Index("ix_dead_letter_open", dead_letter.c.tenant, postgresql_where=dead_letter.c.state == "open")
Index("ix_dead_letter_unpublished", dead_letter.c.id, postgresql_where=~dead_letter.c.published)

letter_position = Table(
    "letter_position",
    metadata,
    Column("partition", SmallInteger, primary_key=True, comment="of the dead-letter topic"),
    Column("next_offset", BigInteger, nullable=False),
    Column("anchor", BigInteger, comment="mark of the record before next_offset: tells a replaced log"),
)

claimed = Table(
    "claimed",
    metadata,
    Column("identity", Uuid, primary_key=True, comment="of (tenant, source, id)"),
    Column("mark", Integer, nullable=False, comment="of the payload: another one is a conflict"),
    Column("claimed_on", Date, nullable=False),
)


def _activity(user: str) -> list[Column[object]]:
    """Return the columns of a person's or an identity's days."""
    return [
        Column("tenant", Text, primary_key=True),
        Column("user_id", Text, primary_key=True, comment=user),
        Column("day", Date, primary_key=True, comment="in the tenant's time zone"),
        part("events"),
        part("logins"),
        part("actions"),
        part("qualifying"),
        instant("first_at", nullable=False),
        instant("last_at", nullable=False),
        instant("first_login_at"),
        instant("last_login_at"),
        instant("first_qualifying_at"),
    ]


person_day = Table(
    "person_day",
    metadata,
    *_activity("'' for events without a user"),
    postgresql_with={"fillfactor": "80"},
)

identity_day = Table(
    "identity_day",
    metadata,
    *_activity("an identity that is one of several of a person: what the person's days are made of"),
    postgresql_with={"fillfactor": "80"},
)

roster = Table(
    "roster",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("terms", JSONB, nullable=False, comment="the terms the windows count this person under"),
    Column("keys", ARRAY(Text), comment="what identities were last recognised by: external id, mark of the e-mail"),
)

person_link = Table(
    "person_link",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("user_id", Text, comment="the person it counts for; null: several could be meant"),
    Column("how", Text, nullable=False),
    Column("candidates", JSONB, nullable=False, server_default="[]"),
    CheckConstraint("how in ('alias', 'external_id', 'email', 'self', 'ambiguous')", name="how"),
)
Index("ix_person_link_tenant_user_id", person_link.c.tenant, person_link.c.user_id)

sighting = Table(
    "sighting",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("mark", Uuid, primary_key=True, comment="of an e-mail that the identity's events carried, or that it is"),
)
Index("ix_sighting_tenant_mark", sighting.c.tenant, sighting.c.mark)

window_delta = Table(
    "window_delta",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("days", SmallInteger, primary_key=True, comment="the length of the window: 1, 7 or 28"),
    Column("day", Date, primary_key=True, comment="the as-of day from which the differences hold"),
    Column("shard", SmallInteger, primary_key=True),
    part("licensed"),
    part("active"),
    part("logged_in"),
    part("actions"),
    part("active_user_days"),
    part("revision"),
    postgresql_with={"fillfactor": "70"},
)

tally = Table(
    "tally",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, comment="-1: what the API writes"),
    count("version"),
    count("folded"),
    count("duplicates"),
    count("conflicts"),
    count("late"),
    count("unmapped"),
    count("dead_letters"),
    instant("newest"),
    postgresql_with={"fillfactor": "50"},
)

source_seen = Table(
    "source_seen",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    instant("last_event_at", nullable=False),
    count("events"),
    instant("last_login_at"),
)
