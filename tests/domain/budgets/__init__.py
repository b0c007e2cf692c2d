"""Windows of budgets, which requests they bound, and what they book."""
