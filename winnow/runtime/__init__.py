"""Runtime of every service: journal, bus, clock, settings, logs, metrics, health, stores.

Admission: a line belongs here only if it would read the same for any other trade, three services use it,
and it has its own tests. No business word.
"""
