"""The columns that many tables share, and the names of constraints."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Integer, MetaData, Text, func

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def instant(name: str, *, nullable: bool = True) -> Column[object]:
    """Return the column of an instant."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def written(name: str = "created_at") -> Column[object]:
    """Return the column that says when a row was written."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def tenant_key(*, primary_key: bool = True) -> Column[object]:
    """Return the column of the tenant a row belongs to, and goes with."""
    return Column("tenant", Text, ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


def count(name: str) -> Column[object]:
    """Return the column of a count without bounds."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def part(name: str) -> Column[object]:
    """Return the column of a count within one day or one batch."""
    return Column(name, Integer, nullable=False, server_default="0")
