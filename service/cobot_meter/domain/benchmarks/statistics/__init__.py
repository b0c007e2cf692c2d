"""How sure a figure is, and whether two of them differ; own code, no dependency."""
