"""The whole line in one process, over a simulated world that a seed decides; see docs/simulation.md."""
