"""The sections of a study's report, one function each. `reports.study.report` lists them in order."""
