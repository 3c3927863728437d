"""Measure how good searches are: on tables of real trainings, on a stand-in for training, and live."""
