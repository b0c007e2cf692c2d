"""Sales whose reservation grows."""
