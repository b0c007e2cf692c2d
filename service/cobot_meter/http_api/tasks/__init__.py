"""Tasks: what their sellers do with them, and the runs that their own keys ask."""
