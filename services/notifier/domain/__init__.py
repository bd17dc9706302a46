"""What is decided about telling: who is told of what, when, and when to try again. No I/O, no clock, no logging."""
