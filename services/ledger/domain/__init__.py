"""The rules of the ledger, pure: no clock, randomness, I/O or logging.

* ``account``: the state
* ``records``: the private events
* ``burn``: which grants pay, and how that is undone
* ``evolve``: the fold
* ``books``: the postings of an entry
* ``decide``: the decisions
* ``prices``: what an output costs
"""
