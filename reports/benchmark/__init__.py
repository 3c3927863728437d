"""What came out of a benchmark: families, data sets, SNN against CNN twin, over several seeds."""
