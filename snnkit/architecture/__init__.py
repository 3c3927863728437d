"""A network as a list of typed operations with shapes: built, fused, traced channel by channel. No torch."""
