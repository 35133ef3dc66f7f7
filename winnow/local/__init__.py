"""The embedded stack: three real servers from pinned packages, as processes on loopback, and their supervisor."""
