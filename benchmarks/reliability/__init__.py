"""Measure how studies survive faults, broken files and many trials."""
