"""Spiking networks, their training and their cost. Knows torch; has never heard of YAML, Optuna or Ray."""
