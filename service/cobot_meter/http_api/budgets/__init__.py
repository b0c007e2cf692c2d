"""A caller's budgets over HTTP: read by its keys, and set by its proof."""
