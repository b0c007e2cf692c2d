"""The books on PostgreSQL."""
