"""Reads reporting lines and what is hidden of groups."""
