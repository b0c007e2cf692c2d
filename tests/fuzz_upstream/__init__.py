"""What upstreams send, broken byte by byte, against the flows on real SQLite books."""
