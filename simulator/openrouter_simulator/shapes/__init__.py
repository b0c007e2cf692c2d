"""Text, tool calls and JSON that look like a model's."""
