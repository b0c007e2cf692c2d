"""A task: a sale of many runs, whose seller risks and earns, and whose buyer pays once."""
