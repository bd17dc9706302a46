"""The services of Uptake. They meet only through ``schemas``, Kafka and Postgres."""
