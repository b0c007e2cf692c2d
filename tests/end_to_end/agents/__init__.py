"""Programs in the field, run unmodified against real processes."""
