"""Winnow: order K good outputs, pay only for what is delivered. Contracts, runtime, command line and embedded stack."""
