"""Metrics: what each is, and what people and records contribute to it. Pure; the aggregator counts, the API shows."""
