"""Fakes that several services are tested on."""
