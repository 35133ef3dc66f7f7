"""Calls to the other services, to the object store, and to what clients' URLs name."""
