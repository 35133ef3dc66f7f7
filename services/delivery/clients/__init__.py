"""Clients of delivery: image libraries, and the webhook endpoints of clients."""
