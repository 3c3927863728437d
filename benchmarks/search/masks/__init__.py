"""A table of real trainings: all masks of SqueezeNet's Fire modules, a test bed that searches are replayed on."""
