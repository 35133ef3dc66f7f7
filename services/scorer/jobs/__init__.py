"""What is done with the scorer at a desk: score pictures, check profiles, calibrate limits. Started by `winnow`.

Each job writes JSON lines to standard output and nothing else; see ``python -m services.scorer.jobs --help``.
"""
