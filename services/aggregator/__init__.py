"""Kafka in; facts, windows and alerts out. One aggregator owns a shard at a time, and only the owner writes it."""
