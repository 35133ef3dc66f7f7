"""What delivery calls: image libraries, and the webhook endpoints of clients."""
