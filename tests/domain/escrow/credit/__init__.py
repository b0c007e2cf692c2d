"""The sale in credit mode: its own table over the same run."""
