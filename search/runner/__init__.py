"""The loop of every run: it hands jobs to an executor within a budget and stores the results."""
