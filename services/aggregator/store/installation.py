"""What was fixed when the installation was made."""

from services.postgres import Pool


async def shards(pool: Pool, default: int) -> int:
    """Return the number of shards that people are spread over; ``default`` until the topics were made."""
    value = await pool.fetchval("select value from installation where name = 'shards'")
    return default if value is None else int(value)
