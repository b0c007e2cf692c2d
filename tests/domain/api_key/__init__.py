"""What an API key is, and what it books."""
