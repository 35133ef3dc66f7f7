"""The audit: chains, anchors and archives of the record, and everything re-derived from it. Imports no service."""
