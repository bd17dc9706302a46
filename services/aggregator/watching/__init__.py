"""Gathers what the rules rest on beside the launches: weeks of groups, days of people, and what operations show.

Every statement costs by whom it is asked for. The judgement itself is pure, and made in a thread of its own.
"""
