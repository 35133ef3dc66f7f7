"""Runs networks: pinned weights, providers, batches, and the line to the process that owns the device."""
