"""Training of a network: recipe, step, loop, weight averaging, checkpoints, evaluation."""
