"""Builders that tests of several services use."""
