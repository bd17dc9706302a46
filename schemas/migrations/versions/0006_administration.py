"""What is administered is written down: who made, changed or deleted what, by whatever way.

Revision: 0006
Follows: 0005
Written: 2026-11-22 18:35:00.000000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NOTE = """
create function note_administration() returns trigger language plpgsql security definer
set search_path from current as $$
declare
    before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) else '{}' end;
    after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) else '{}' end;
    stood jsonb := case when tg_op = 'DELETE' then before else after end;
    differ text[];
begin
    if tg_op = 'UPDATE' then
        select array_agg(key order by key) into differ from jsonb_each(after)
            where value is distinct from before -> key and key <> 'updated_at';
        if differ is null then
            return null;
        end if;
    end if;
    insert into administration (tenant, actor, action, kind, name, parts) values (
        case when tg_table_name = 'tenant' then stood ->> 'id' else stood ->> 'tenant' end,
        coalesce(nullif(current_setting('uptake.actor', true), ''),
            session_user || ' by ' || coalesce(nullif(current_setting('application_name', true), ''), 'sql')),
        case tg_op when 'INSERT' then 'made' when 'UPDATE' then 'changed' else 'deleted' end,
        tg_argv[0], stood ->> tg_argv[1], coalesce(differ, '{}'));
    return null;
end $$
"""
WATCHED = {
    "tenant": (
        "tenant",
        "id",
        "id, name, time_zone, clock, day_counting, work_days, holidays, first_day_of_week, connected_by, min_group, "
        "individual_visibility, instants, labels, fields, roles, retention",
    ),
    "api_key": ("key", "id", "id, tenant, secret_hash, scopes, person, expires_at, revoked_at"),
    "source": ("source", "id", "id, tenant, kind, secrets, options"),
    "rule_version": ("rule", "rule", "tenant, rule, number, spec"),
    "subscription": (
        "subscription",
        "id",
        "tenant, id, kind, name, url, secrets, filter, options, key_id, person, state",
    ),
    "feed": ("feed", "id", "tenant, id, token_hash, key_id, person, filter, revoked_at"),
}


def upgrade() -> None:
    op.create_table(
        "administration",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=True, comment="null: of no tenant"),
        sa.Column("actor", sa.Text(), nullable=False, comment="the id of a key, or an account of PostgreSQL and its program"),
        sa.Column("action", sa.Text(), nullable=False, comment="made, changed or deleted"),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="tenant, key, source, rule, subscription or feed"
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="the id of what it was done to"),
        sa.Column(
            "parts", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False, comment="what changed, without values"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_administration")),
        comment="who administered what; written by triggers, whoever changes the tables",
    )
    op.create_index("ix_administration_tenant_seq", "administration", ["tenant", "seq"], unique=False)
    # --- by hand
    op.execute(
        "create trigger append_only before update or delete or truncate on administration "
        "for each statement execute function refuse_change()"
    )
    op.execute(NOTE)
    for table, (kind, name, columns) in WATCHED.items():
        op.execute(
            f"create trigger administered after insert or delete or update of {columns} on {table} "
            f"for each row execute function note_administration('{kind}', '{name}')"
        )
    op.execute("alter table administration enable row level security")
    op.execute("create policy own_tenant on administration using (tenant = current_setting('uptake.tenant', true))")
    op.execute("""
        do $$ begin
            if to_regrole('uptake_tenant') is not null then
                grant select on administration to uptake_tenant;
            end if;
        end $$
    """)
