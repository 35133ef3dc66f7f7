"""The five services. None imports another; they meet on the bus, by gRPC, and in ``winnow.contracts``."""
