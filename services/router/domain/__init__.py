"""The rules of the router, pure: no clock, randomness, I/O or logging.

* ``decide``: the steps of each message, folded in one place
* ``rounds``, ``attempts``, ``attempt_results``, ``chunks`` and ``run_end``: the handlers, from a state to
  messages
* ``run``: the state of a task run
* ``messages``: what it decides on, and its private events
* ``evolve``: the fold
* ``catalogue``: what can be bought
* ``calls``: what a provider call returns
* ``planning``: how many candidates
* ``choice``: which offering
* ``health``: breakers and learnt rates
* ``fair_order``: whose turn
* ``selection``: which passed candidates
"""
