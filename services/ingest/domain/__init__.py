"""The rules of ingest: keys, orders, the prompt rule, stages before funding, and the fold of the read model."""
