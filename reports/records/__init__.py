"""The stored shapes: what a trial, a study and a benchmark left behind. Versioned and frozen."""
