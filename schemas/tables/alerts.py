"""Connections, alerts and their history, and what the evaluator saw. Written by the evaluator; the API acknowledges.

``rule_version``, ``annotation``, ``backtest`` are written by the API and read by the evaluator, which fills in the
results of a backtest. ``to_judge`` is written by whoever changes what a rule rests on.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables.columns import count, instant, metadata, tenant_key, written

evaluation = Table(
    "evaluation",
    metadata,
    tenant_key(),
    count("version"),
    instant("as_of"),
    written("evaluated_at"),
)

wave_connection = Table(
    "wave_connection",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("wave", Text, primary_key=True),
    Column("n", SmallInteger, primary_key=True),
    Column("num", Integer, nullable=False),
    Column("den", Integer, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("missing", ARRAY(Text), nullable=False),
    Column("reason", Text, comment="why it is unknown; null: it is known"),
)

alert = Table(
    "alert",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("severity", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("suppressed_by", Text),
    Column("subject_kind", Text, nullable=False),
    Column("subject_key", Text, nullable=False),
    Column("wave", Text),
    Column("title", Text, nullable=False),
    instant("opened_at", nullable=False),
    instant("updated_at", nullable=False),
    instant("resolved_at"),
    Column("resolution", Text),
    Column("window", JSONB, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("audience", JSONB, nullable=False),
    Column("action", Text, nullable=False),
    Column("episode", Integer, nullable=False, server_default="1"),
    Column("revision", Integer, nullable=False, server_default="0"),
    instant("acknowledged_at"),
    instant("snoozed_until"),
    Column("snooze_reason", Text),
    Column("assignee", Text, comment="the person who takes care"),
    Column("plan_on", Date, comment="the day by which they agreed to act"),
    Column("escalation", SmallInteger, nullable=False, server_default="0", comment="how many steps up it was carried"),
    Column("useful", Boolean, comment="what somebody said of it afterwards; null: nobody did"),
    Column("loud_since", instant("loud_since").type, comment="since when it waits for an answer as loud as it is"),
    Column("due_at", instant("due_at").type, comment="when it is to be looked at again, whatever the facts"),
    UniqueConstraint("tenant", "fingerprint"),
)
Index("ix_alert_due", alert.c.tenant, alert.c.due_at, postgresql_where=alert.c.due_at.is_not(None))
Index("ix_alert_wave", alert.c.tenant, alert.c.wave, postgresql_where=alert.c.subject_kind.in_(["user", "wave"]))
Index("ix_alert_rule", alert.c.tenant, alert.c.rule)
Index("ix_alert_feed", alert.c.tenant, alert.c.opened_at.desc(), alert.c.id.desc())

alert_change = Table(
    "alert_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("alert", Text, nullable=False),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="what happened to it, or what somebody did",
    ),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False, comment="evaluator, or the key that did it"),
    instant("as_of", nullable=False),
    Column("body", JSONB, nullable=False, comment="the alert as it stood after the change"),
    written("at"),
    Column("detail", JSONB, nullable=False, server_default="{}", comment="the note, the reason, until when"),
    comment="changes of a tenant are numbered in the order they are committed in: a reader's cursor skips none",
)
Index("ix_alert_change_tenant_alert_seq", alert_change.c.tenant, alert_change.c.alert, alert_change.c.seq)
Index("ix_alert_change_tenant_seq", alert_change.c.tenant, alert_change.c.seq)
Index("ix_alert_subject", alert.c.tenant, alert.c.subject_kind, alert.c.subject_key)

rule_version = Table(
    "rule_version",
    metadata,
    tenant_key(),
    Column("rule", Text, primary_key=True),
    Column("number", Integer, primary_key=True, comment="counts the tenant's own versions; the newest stands"),
    Column("spec", JSONB, comment="the rule, or what differs from the pack's; null: as the pack has it again"),
    Column("actor", Text, nullable=False),
    written("at"),
)

rule_evaluation = Table(
    "rule_evaluation",
    metadata,
    tenant_key(),
    Column("rule", Text, primary_key=True),
    Column("subject_kind", Text, primary_key=True),
    Column("subject_key", Text, primary_key=True),
    Column("window_to", Date, primary_key=True, comment="the last day of the window that was judged"),
    Column("window_from", Date, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("revision", Integer, nullable=False, comment="how often the outcome changed since it was first judged"),
    Column("outcome", Text, nullable=False, comment="breach, clear, held (neither), or not judged"),
    Column("reason", Text, comment="why it was not judged, or opened nothing all the same"),
    Column("num", BigInteger),
    Column("den", BigInteger),
    Column("baseline", JSONB),
    Column("p", Double),
    Column("alert", Text, comment="the alert it belongs to"),
    instant("as_of", nullable=False),
    written("at"),
    comment="why an alert was opened or was not: one row for each window of a subject that a rule judged",
)
Index(
    "ix_rule_evaluation_subject",
    rule_evaluation.c.tenant,
    rule_evaluation.c.subject_kind,
    rule_evaluation.c.subject_key,
)

to_judge = Table(
    "to_judge",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="user, team, role, wave, tenant, launch (of a wave), or all"),
    Column("key", Text, nullable=False),
    written("queued_at"),
)
Index("ix_to_judge_tenant_seq", to_judge.c.tenant, to_judge.c.seq)

annotation = Table(
    "annotation",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False, comment="go-live, training, crm-change, cut-over, reset or other"),
    Column("title", Text, nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, comment="the last day; null: it is one day"),
    Column("teams", ARRAY(Text), nullable=False, server_default="{}", comment="empty like roles: everybody"),
    Column("roles", ARRAY(Text), nullable=False, server_default="{}"),
    Column("url", Text),
    Column("actor", Text, nullable=False),
    written(),
    written("updated_at"),
)

backtest = Table(
    "backtest",
    metadata,
    tenant_key(),
    Column("id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    written("asked_at"),
    instant("started_at"),
    instant("finished_at"),
    Column("result", JSONB),
    Column("error", Text),
)
