"""The rules of ingest: keys, orders, the prompt rule, the funding workflow, and the fold of the read model."""
