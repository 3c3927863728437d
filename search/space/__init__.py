"""Spaces: read them from YAML, and build their candidates."""
