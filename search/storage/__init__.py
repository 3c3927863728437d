"""Where a study is stored: SQLite or PostgreSQL through Optuna, and the lock of its driver."""
