"""Searches side by side on real training, for the same time."""
