"""Changes of the source that a test must notice: a catalogue, and a runner on a copy of the tree."""
