"""Measurements of snnsearch: speed, search and reliability. See README.md."""
