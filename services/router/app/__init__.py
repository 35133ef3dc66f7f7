"""Use cases of the router: it knows the offerings' health, grants turns, runs attempts, answers questions.

* ``ports``: what it needs from outside
* ``offering_pool``: health and learnt rates
* ``attempts``: one provider call from submit to stored candidates
* ``dispatcher``: whose attempt is next
* ``router``: the whole
"""
