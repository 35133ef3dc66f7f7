"""Command-line tools of the scorer: score pictures, check profiles, calibrate limits.

The ``winnow`` command starts them. Each writes JSON lines to standard output and nothing else; see
``python -m services.scorer.tools --help``.
"""
