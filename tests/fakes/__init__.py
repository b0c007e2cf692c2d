"""One fake per port, held to the port's contract suite."""
