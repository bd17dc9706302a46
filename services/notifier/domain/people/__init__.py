"""Telling people: who hears of an alert, what they are still owed of it, and when it may reach them.

Everything follows from what stands now and from what each was told before: planned late, twice or by another notifier
it comes to the same.
"""
