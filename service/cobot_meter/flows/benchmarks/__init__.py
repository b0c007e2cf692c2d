"""What benchmark runs have shown, for the operator and for whoever buys it."""
