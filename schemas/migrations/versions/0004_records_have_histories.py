"""Records have histories.

Revision: 0004
Follows: 0003
Written: 2026-11-22 14:41:38.921831
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "record_change",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identity", sa.Uuid(), nullable=False, comment="of the row of activity that it goes with"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column(
            "user_id",
            sa.Text(),
            nullable=True,
            comment="the identity that did it; null: nobody, or on behalf of somebody else",
        ),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("close_date", sa.Date(), nullable=True),
        sa.Column("forecast", sa.Text(), nullable=True, comment="its category, where that is declared"),
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the states of the fields that were told",
        ),
        comment="what was told of records in production, as long as activity is kept",
    )
    # What was told of records stood in the rows of activity, day by day.
    op.execute("""
        insert into record_change (tenant, object, record, at, identity, kind, source, origin, user_id, owner, stage,
            close_date, forecast, fields)
        select tenant, object, record, at, identity, kind, source, origin,
            case when behalf is null then nullif(user_id, '') end, owner, stage, close_date, forecast, fields
        from activity where object <> '' and record <> '' and kind like 'crm.record.%' and environment is null
        order by at
    """)
    op.create_index(
        "ix_record_change_owner",
        "record_change",
        ["tenant", "owner", "at"],
        unique=False,
        postgresql_where=sa.text("owner != coalesce(user_id, '')"),
    )
    op.create_index("ix_record_change_record", "record_change", ["tenant", "record"], unique=False)
    op.drop_index(op.f("ix_activity_owner"), table_name="activity", postgresql_where="(owner <> user_id)")
    op.drop_index(op.f("ix_activity_record"), table_name="activity", postgresql_where="(record IS NOT NULL)")
    op.drop_column("activity", "stage")
    op.drop_column("activity", "close_date")
    op.drop_column("activity", "fields")
    op.drop_column("activity", "forecast")
    op.drop_column("activity", "owner")
    op.add_column(
        "dirty",
        sa.Column(
            "subjects",
            sa.ARRAY(sa.Text()),
            nullable=True,
            comment="of a whole batch, in place of subject; null: one subject",
        ),
    )
    op.add_column("dirty", sa.Column("lows", sa.ARRAY(sa.Date()), nullable=True, comment="by subject, as low"))
    op.add_column("dirty", sa.Column("highs", sa.ARRAY(sa.Date()), nullable=True))
    op.create_index(
        "ix_dirty_packed", "dirty", ["tenant", "seq"], unique=False, postgresql_where=sa.text("subjects IS NOT NULL")
    )
    op.alter_column(
        "measured",
        "until",
        existing_type=postgresql.TIMESTAMP(timezone=True),
        comment="when that week ends where the tenant is",
        existing_comment="the end of that day",
        existing_nullable=True,
    )
    op.drop_column("measured", "day")
    # The second wall between tenants, as of every table.
    op.execute("alter table record_change enable row level security")
    op.execute("create policy own_tenant on record_change using (tenant = current_setting('uptake.tenant', true))")
    op.execute("""
        do $$ begin
            if to_regrole('uptake_tenant') is not null then
                grant select, insert, update, delete on record_change to uptake_tenant;
            end if;
        end $$
    """)
