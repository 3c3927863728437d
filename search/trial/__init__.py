"""One training in a worker: from a job to its record."""
