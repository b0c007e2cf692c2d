"""Several models on one question: what each found, what they agree on, and what only one saw."""
