"""Credit of callers: how it is bought, and what was used."""
