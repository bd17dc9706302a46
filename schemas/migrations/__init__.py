"""The migrations of the database: forward only, each in the one transaction of an upgrade."""
