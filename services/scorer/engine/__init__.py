"""Runs the measures: the pool of scoring processes, their workers, and the process that owns the device."""
