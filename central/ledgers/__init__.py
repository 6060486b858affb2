"""The ledger, on SQLite and on PostgreSQL, what proves it complete, and what leaves it for people."""
