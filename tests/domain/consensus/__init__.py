"""Several models on one question."""
