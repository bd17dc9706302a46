"""The notifier: alert changes out, to whoever subscribed. PostgreSQL in; HTTP, mail and Kafka out.

A message is planned in the transaction that moves its subscription's cursor, and sent afterwards: none is lost, and it
has the same id however often it is tried and whoever tries.
"""
