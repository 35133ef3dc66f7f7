"""The `winnow` command: an outsider that talks to the public API, the gRPC services and the topics."""
