"""Storage of the router: task runs through the journal, and the catalogue read from its files."""
