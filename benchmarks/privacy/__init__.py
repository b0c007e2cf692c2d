"""The detector on recorded documents, generated keys, and prompts in which there is nothing."""
