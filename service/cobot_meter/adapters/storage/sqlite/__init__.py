"""The books in one file of SQLite."""
