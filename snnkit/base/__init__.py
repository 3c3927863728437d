"""Shared by all packages of snnkit: frozen configurations, seeds, files, the cache folder."""
