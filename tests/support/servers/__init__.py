"""Servers of the tests: the embedded stack, the line, TLS and HTTP servers on loopback, Apache Kafka."""
