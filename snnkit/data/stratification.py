"""An order of images in which every class has its share at any point."""

import numpy as np
from numpy.typing import NDArray


def stratified_order(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return a random order of the images. In each prefix, every class has its overall share to within one image."""
    rng = np.random.default_rng(seed)
    position = np.empty(len(labels))  # of an image among the images of its class, 0..1
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        position[rng.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((rng.random(len(labels)), position))  # by position, ties at random
