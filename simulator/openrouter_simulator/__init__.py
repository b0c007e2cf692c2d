"""A faithful OpenRouter look-alike, reached over HTTP; imports nothing else of ours."""

__version__ = "0.1.0"
