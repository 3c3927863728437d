"""How a network is trained: recipe, step, loop, checkpoint, evaluation."""
