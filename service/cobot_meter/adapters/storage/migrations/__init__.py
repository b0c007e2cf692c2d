"""Schema revisions of the books, run by Alembic; `service` finds this folder beside itself."""
