"""HTTP in, Kafka out. Postgres is never on the request path."""
