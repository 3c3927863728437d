"""The data sets that a space may name under ``data.name``. Importing this package does not load torch.

To add one, describe it in a file of its own and add a line to ``DATASETS``.
"""

from snnkit.base.spelling import did_you_mean
from snnkit.data.datasets.cifar10 import CIFAR10
from snnkit.data.datasets.cifar100 import CIFAR100
from snnkit.data.datasets.digits import DIGITS
from snnkit.data.datasets.fashion_mnist import FASHION_MNIST
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.datasets.nmnist import NMNIST
from snnkit.data.datasets.tiny_imagenet import TINY_IMAGENET
from snnkit.data.images import DataError

DATASETS: dict[str, DatasetInfo] = {
    "digits": DIGITS,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "tiny-imagenet": TINY_IMAGENET,
    "nmnist": NMNIST,
    "fashion-mnist": FASHION_MNIST,
}


def dataset_info(name: str) -> DatasetInfo:
    """Return the description of data set ``name``. Raises DataError if it is unknown."""
    if name not in DATASETS:
        raise DataError(f"no data set {name!r}; choose one of {', '.join(DATASETS)}{did_you_mean(name, DATASETS)}")
    return DATASETS[name]
