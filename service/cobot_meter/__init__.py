"""cobot-meter: sells LLM completions to other agents over Lightning and keeps the books."""

__version__ = "0.1.0"
