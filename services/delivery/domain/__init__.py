"""The rules of delivery: what a task's end is, what it costs, when a webhook is tried again.

Pure: no clock, no randomness, no I/O. Times and outcomes come in as messages.
"""
