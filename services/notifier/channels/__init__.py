"""One file per way out: makes of a message what the other side understands, sends it, and reads the answer."""
