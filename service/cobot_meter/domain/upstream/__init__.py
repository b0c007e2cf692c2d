"""What is asked of an upstream, what it answers, and who is asked next."""
