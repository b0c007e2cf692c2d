"""Budgets: bursts on both databases, how much of a budget twenty callers can use, and midnights."""
