"""Reads what lies outside the process: quality profiles on disk, custom rules, stored pictures."""
