"""Floor 5: the only place where ports meet adapters."""
