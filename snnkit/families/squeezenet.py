"""Spiking SqueezeNet (Iandola et al. 2016, arXiv:1602.07360) and its CNN twin, with the CIFAR geometry of arXiv:2602.09717."""
