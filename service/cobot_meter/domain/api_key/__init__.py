"""The API key: a text of two settings that names a caller, within limits, as a small machine."""
