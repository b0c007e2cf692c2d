"""The `cobot-pay` command."""
