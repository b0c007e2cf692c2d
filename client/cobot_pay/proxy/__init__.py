"""A local base URL that pays: for programs that can be given a URL and a key, and no wallet."""
