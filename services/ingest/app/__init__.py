"""The use cases of ingest, one class a subject; each orders steps and lets the domain decide."""
