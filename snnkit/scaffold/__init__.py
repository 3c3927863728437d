"""Networks from PyTorch: trace a module into a graph, and check that the graph computes the same."""
