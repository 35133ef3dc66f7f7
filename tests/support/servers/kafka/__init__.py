"""Apache Kafka from Maven artefacts: one node for the suites, three for the loss of brokers."""
