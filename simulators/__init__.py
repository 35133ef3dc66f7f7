"""Simulated image providers and a webhook receiver: the vendors' wire formats over real photographs.

They exist so that orders, quality decisions and money can be proved end to end without a key and without
cost. Each runs as a process of its own on loopback and knows the truth about every picture it served.
"""
