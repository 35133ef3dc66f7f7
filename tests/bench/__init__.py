"""Benchmarks: they print medians and write figures, and assert nothing about time."""
