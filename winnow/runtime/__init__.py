"""Runtime of every service: journal, bus, clock, settings, logs, metrics, health, stores.

A line belongs here only if it would read the same for any other trade and three services use it. It has its
own tests and no business word.
"""
