"""The use cases of delivery: finish the selected candidates, notify endpoints, sign links, manage endpoints."""
