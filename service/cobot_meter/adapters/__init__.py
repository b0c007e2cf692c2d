"""Floor 3: the only code that knows a library."""
