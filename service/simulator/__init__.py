"""A faithful OpenRouter look-alike, reached over HTTP; imports nothing else of ours."""
