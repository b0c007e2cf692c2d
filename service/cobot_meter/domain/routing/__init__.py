"""Which model answers a request that names none: hints, the table of successes, the decision."""
