"""Storage of a study: SQLite or PostgreSQL through Optuna, and the lock of its driver."""
