"""Who is told of alerts, by which way, and what became of it. Feeds and subscriptions are made by the API.

The notifier plans a delivery in the transaction that moves its cursor, and sends it afterwards: none is lost, and the
same message has the same id however often it is tried.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import instant, metadata, tenant_key, written

contact = Table(
    "contact",
    metadata,
    tenant_key(),
    Column("role", Text, primary_key=True, comment="a role of an audience: crm_owner, sponsor, data_owner, ..."),
    Column("address", Text, primary_key=True, comment="a person of the directory, or an e-mail address"),
    Column("kind", Text, nullable=False, comment="person or email"),
    comment="who stands behind the roles that no directory tells",
)

feed = Table(
    "feed",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("key_id", Text, nullable=False, comment="the key that made it: it shows what that key may see"),
    Column("person", Text, comment="the person that key is bound to"),
    Column("filter", JSONB, nullable=False, server_default="{}"),
    written(),
    instant("revoked_at"),
)

subscription = Table(
    "subscription",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False, comment="webhook, alertmanager, email or teams"),
    Column("name", Text, nullable=False),
    Column("url", LargeBinary, comment="sealed: it may open doors by itself; null: there is none"),
    Column("secrets", ARRAY(LargeBinary), nullable=False, server_default="{}", comment="sealed; the newest first"),
    Column("filter", JSONB, nullable=False, server_default="{}"),
    Column("options", JSONB, nullable=False, server_default="{}", comment="budget, digest, language, to whom"),
    Column("key_id", Text, nullable=False, comment="the key that made it"),
    Column("person", Text, comment="the person that key is bound to: it tells what they may see"),
    Column("state", Text, nullable=False, server_default="active", comment="active, paused or disabled"),
    Column("reason", Text, comment="why it was disabled"),
    instant("failing_since"),
    Column("cursor", BigInteger, nullable=False, server_default="0", comment="changes up to here are planned"),
    Column("mornings_to", instant("mornings_to").type, comment="mornings of people up to here are planned"),
    written(),
    written("updated_at"),
)

alert_cursor = Table(
    "alert_cursor",
    metadata,
    tenant_key(),
    Column("reader", Text, primary_key=True, comment="topic: what was put on Kafka"),
    Column("seq", BigInteger, nullable=False),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("message", Text, nullable=False, comment="the same message is the same id, whoever plans or sends it"),
    Column("kind", Text, nullable=False, comment="change, group, digest, correction, notice"),
    Column("recipient", Text, nullable=False, server_default="", comment="a person, an address; empty: the channel"),
    Column("alerts", ARRAY(Text), nullable=False, server_default="{}"),
    Column("changes", ARRAY(BigInteger), nullable=False, server_default="{}"),
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, comment="waiting, sending, delivered, given_up or withdrawn"),
    Column("lane", Text, nullable=False, server_default="", comment="what arrives in its order; empty: in any"),
    Column("attempts", SmallInteger, nullable=False, server_default="0", comment="since it was last asked for"),
    instant("began_at", nullable=False),
    instant("due_at", nullable=False),
    Column("lease", instant("lease").type, comment="until then the one who took it may be sending it"),
    Column("told_on", Date, comment="the recipient's day it counts on in the budget"),
    written(),
    instant("finished_at"),
    UniqueConstraint("tenant", "subscription", "message"),
    ForeignKeyConstraint(["tenant", "subscription"], ["subscription.tenant", "subscription.id"], ondelete="CASCADE"),
)
_UNFINISHED: Final = delivery.c.state.in_(["waiting", "sending"])
Index(
    "ix_delivery_due",
    delivery.c.tenant,
    delivery.c.subscription,
    delivery.c.due_at,
    delivery.c.id,
    postgresql_where=delivery.c.state == "waiting",
)
Index(
    "ix_delivery_lease",
    delivery.c.tenant,
    delivery.c.subscription,
    delivery.c.lease,
    postgresql_where=delivery.c.state == "sending",
)
Index(
    "ix_delivery_lane",
    delivery.c.tenant,
    delivery.c.subscription,
    delivery.c.lane,
    delivery.c.id,
    postgresql_where=_UNFINISHED,
)
Index("ix_delivery_alerts", delivery.c.alerts, postgresql_using="gin")
Index("ix_delivery_recipient", delivery.c.tenant, delivery.c.subscription, delivery.c.recipient, delivery.c.told_on)

delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("delivery", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant", Text, nullable=False),
    instant("at", nullable=False),
    Column("outcome", Text, nullable=False, comment="delivered, refused, unreachable, blocked or unknown"),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("milliseconds", Integer),
    ForeignKeyConstraint(["delivery"], ["delivery.id"], ondelete="CASCADE"),
)

told = Table(
    "told",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("subscription", Text, primary_key=True),
    Column("alert", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("standing", Text, nullable=False, comment="what they take it for: open, resolved or corrected"),
    Column("severity", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("role", Text, nullable=False, comment="the role of the audience they were told it in"),
    Column("message", Text, nullable=False, comment="the delivery that told it"),
    Column("was", JSONB, comment="what they took it for before that delivery; null: they did not know of it"),
    written("at"),
    ForeignKeyConstraint(["tenant", "subscription"], ["subscription.tenant", "subscription.id"], ondelete="CASCADE"),
    comment="what each person was last told of an alert: whoever got its opening gets its end",
)
Index("ix_told_message", told.c.tenant, told.c.subscription, told.c.message)
