"""Telling people: what a message to a recipient says, in mails and on cards.

Everything follows from what stands now and from what each was told before: planned late, twice or by another notifier
it comes to the same.
"""
