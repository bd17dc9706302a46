"""Rules as data: what each is called, when it opens and closes, who should know and what to do next.

Pure, and shared: the aggregator judges by them, the API shows them and takes changes, the notifier reads who is meant.
"""
