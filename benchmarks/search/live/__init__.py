"""Compare searches on real training, for the same time."""
