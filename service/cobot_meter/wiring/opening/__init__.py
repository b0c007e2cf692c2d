"""Opens what the service runs on: databases, nodes, upstreams, rates."""
