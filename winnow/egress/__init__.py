"""Requests to URLs that strangers name: which addresses may be reached, and a client that reaches no other."""
