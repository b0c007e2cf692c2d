"""lnd over gRPC."""
