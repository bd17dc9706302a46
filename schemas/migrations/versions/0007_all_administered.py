"""Who approves a directory, or says how far logins are complete, is written down like whoever changes the rest.

Revision: 0007
Follows: 0006
Written: 2026-11-23 01:00:00.000000
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WATCHED = {
    "tenant": "id, name, time_zone, clock, day_counting, work_days, holidays, first_day_of_week, connected_by, "
    "min_group, individual_visibility, instants, labels, fields, roles, retention, quality_approved_at",
    "source": "id, tenant, kind, secrets, options, logins_until",
}


def upgrade() -> None:
    for table, columns in WATCHED.items():
        op.execute(
            f"create or replace trigger administered after insert or delete or update of {columns} on {table} "
            f"for each row execute function note_administration('{table}', 'id')"
        )
