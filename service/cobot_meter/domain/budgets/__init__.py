"""Budgets: what an owner lets be spent in an hour, a day, a week or a month of his own zone."""
