"""Reports on studies and benchmarks, made from stored records alone. No torch, Ray or Optuna."""
