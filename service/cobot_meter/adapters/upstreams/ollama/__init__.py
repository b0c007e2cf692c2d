"""Ollama: local models, metered by our own file."""
