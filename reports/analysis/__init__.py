"""Numbers from records: Pareto fronts, hypervolume, comparisons. No layout and no wording."""
