"""What each price of energy means, in words: constants and rule, so that a reader can check a figure."""

PRICES = {
    "horowitz45/exact": (
        "Energy = 4.6 pJ x MACs + 0.9 pJ x ACs (32-bit floating point, 45 nm: multiply 3.7 pJ, add 0.9 pJ; Horowitz, "
        "ISSCC 2014). MACs are multiply-accumulates on real numbers: the first layer, once for a still image; the "
        "first layer of a squeeze-excite; one for each spike and synapse behind a real gate. ACs are accumulates, one "
        "for each spike and each synapse it reaches, counted from real spikes over all time steps, and one for each "
        "element of a residual sum of currents; biases, neuron updates and memory cost nothing."
    ),
    "horowitz45/paper2602": (
        "The same 4.6 and 0.9 pJ on the counts of arXiv 2602.09717, to compare with its tables: MACs = the first "
        "convolution with its bias, and every other layer whose input is not binary; twice the elements through every "
        "BatchNorm; the elements into the final pooling. ACs = firing rate x (dense operations + bias) of every layer "
        "that reads binary spikes; one time step's worth."
    ),
    "lemaire2022/exact": (
        "The exact counts with memory and addressing (Lemaire et al., ICONIP 2022, arXiv 2210.13107; int32, 45 nm: add "
        "0.1 pJ, multiply 3.1 pJ). Every access to weights, potentials and spikes costs what SRAM of that size does "
        "(8 KB 10 pJ, 32 KB 20 pJ, 1 MB 100 pJ for 64 bits, linear in between; a 32-bit word costs half, or all "
        "of it where the space says sram: lemaire)."
    ),
}

IN_SHORT = {"horowitz45/paper2602": "one time step's worth whatever T is, BatchNorm and biases counted"}


def in_short(price: str) -> str:
    """What of a price's rule a comparison must not forget, to be put behind its name; nothing where that is nothing."""
    return f" ({IN_SHORT[price]})" if price in IN_SHORT else ""


def describe(price: str) -> str:
    """The rule of a price; a price that is not known here says so."""
    return PRICES.get(price, "As stored with the study; its rule is described by the snnsearch that launched it.")
