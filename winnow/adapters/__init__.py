"""Adapters of the servers: the bus (Kafka), the document store (MongoDB), the object store (S3)."""
