"""The use cases of delivery: finish what was selected, tell endpoints, give links, manage endpoints."""
