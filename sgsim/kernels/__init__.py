"""Arrays to arrays: the only place that knows numba, and one that never sees the rule model.

Nothing is imported here: importing a kernel module imports numba (0.3 s), so that is left to the moment a kernel runs.
"""
