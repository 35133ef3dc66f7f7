"""Use cases of the router: keeps supply in mind, grants turns, runs attempts, answers questions.

``ports`` what it needs from outside · ``supply`` health and learnt rates · ``attempts`` one provider
call from submit to stored candidates · ``dispatcher`` whose attempt is next · ``router`` the whole.
"""
