"""All SQL of the aggregator: functions that take a connection inside somebody's transaction."""
