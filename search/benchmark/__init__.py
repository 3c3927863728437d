"""Benchmarks: families x data sets x {SNN, CNN twin} x seeds, on the executors of a study."""
