"""The sections of a benchmark's report, one function each. `reports.benchmark.report` lists them in order."""
