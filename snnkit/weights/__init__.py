"""Weights that come from another network: inherited, converted from a CNN, shared, averaged."""
