"""The hot calls of the object store: signed, sent over HTTP/1.1 on the event loop, tried again, within limits."""
