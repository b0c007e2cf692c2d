"""Tests of Ollama."""
