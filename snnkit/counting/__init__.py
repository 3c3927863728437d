"""Count and price networks that were built elsewhere: torch models of snnTorch and SpikingJelly, and NIR graphs."""
