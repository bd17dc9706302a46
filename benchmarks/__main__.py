"""``python -m benchmarks``: every benchmark on every broker, one table of figure, target and stretch."""
