"""The contracts: shapes that two rooms share. No input or output, no decisions."""
