"""Read and check a space file."""
