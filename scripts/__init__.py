"""Generators and checks that the Makefile calls."""
