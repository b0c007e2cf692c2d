"""Chat completions: the request, and every form of its response."""
