"""Who hears of an alert, how soon, and how much of it may interrupt them: one answer for who tells and who only counts.

Everything follows from what stands and from what each was told before. Pure, but for ``store`` and ``looking``.
"""
