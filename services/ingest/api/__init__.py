"""The public HTTP API: routes, models, problems, limits."""
