"""A panel through the flows: killed, raced, and told the same twice."""
