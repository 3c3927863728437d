"""The state of a search, stored in Optuna's database."""
