"""How fast training is, beside snnTorch, SpikingJelly and our own network with ReLU: see benchmarks/README.md."""
