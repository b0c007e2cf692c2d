"""What can be sold now: models, quotes, rates, and the gates before a sale."""
