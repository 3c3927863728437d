"""Compare the speed of training with snnTorch, SpikingJelly and our network with ReLU. See benchmarks/README.md."""
