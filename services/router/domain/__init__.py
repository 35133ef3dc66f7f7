"""The rules of the router, pure: no clock, randomness, I/O or logging.

``catalogue`` what can be bought · ``calls`` what a provider call returns · ``planning`` how many
candidates · ``choice`` which offering · ``health`` breakers and learnt rates · ``fair_order`` whose
turn · ``selection`` which passed candidates · ``run`` the state of a task run, its messages and its
private events · ``evolve`` and ``decide`` the fold and the decisions.
"""
