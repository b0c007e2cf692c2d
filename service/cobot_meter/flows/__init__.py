"""Floor 2: one use case per file; sees the outside only through ports."""
