"""The functional core: facts, windows, calendar, rules, alerts. No input or output, no clock, no logging."""
