"""What adds up over time is told in steps, and what was known before to who may know of it now.

Revision: 0004a
Follows: 0004
Written: 2026-11-22 15:00:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0004a"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "metric_cell",
        sa.Column(
            "step",
            sa.Date(),
            nullable=True,
            comment="of what adds up: the day it is told with; null: not to who may see no single one",
        ),
    )
    op.create_table(
        "regrouped",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_regrouped_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "dimension", "key", "week", name=op.f("pk_regrouped")),
        comment="since when the same people count in a group, and it is as hidden as now, where that was not so before",
    )
    op.execute("alter table regrouped enable row level security")
    op.execute("create policy own_tenant on regrouped using (tenant = current_setting('uptake.tenant', true))")
    op.execute("""
        do $$ begin
            if to_regrole('uptake_tenant') is not null then
                grant select, insert, update, delete on regrouped to uptake_tenant;
            end if;
        end $$
    """)
    op.execute("""
        insert into dirty (tenant, kind, subject, low, high)
        select tenant, 'week', week::text, week, week from measured_week
    """)
