"""Run a study: launch or resume it, hand jobs to an executor within a budget, and show progress to an observer."""
