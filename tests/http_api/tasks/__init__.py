"""Top-ups with an amount, API keys, and what a key gets on the routes that know a caller."""
