"""Tests of OpenRouter."""
