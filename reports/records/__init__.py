"""The stored records of trials, studies and benchmarks, versioned and frozen, and the registry of objectives."""
