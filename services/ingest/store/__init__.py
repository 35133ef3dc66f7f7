"""Storage of ingest: its two journals, API keys, inputs, the read model, and the catalogue's files."""
