"""Read stored studies and benchmarks as records, and write files safely. Databases are only read."""
