"""Outbound calls: one adapter per provider, and the private files of tasks.

An adapter makes one call at a time and says what it means for money: delivered or not, done or not,
billed or not. It retries nothing; that is for the app to decide.
"""
