"""Contracts that two services must agree on: events, commands, topics, ids, money, errors, the task state machine.

Admission: a line belongs here only if something would break when two services disagreed on it.
It imports the standard library and pydantic, and takes no decision.
"""
