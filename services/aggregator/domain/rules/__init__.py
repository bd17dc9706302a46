"""The rules: each reads facts and the tenant's now, and returns episodes. No memory, no input, no output."""
