"""Budgets at their owners' word, and which of them a request is bounded by."""
