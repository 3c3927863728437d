"""What the records show: Pareto fronts, hypervolume, comparisons. Plain numbers, no text layout."""
