"""CIFAR-100 (Krizhevsky 2009): 60,000 colour images of 32x32 pixels in 100 classes."""

from types import MappingProxyType

from snnkit.data.datasets.cifar import CifarFiles
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.datasets.torchvision_download import torchvision_download

FILES = CifarFiles(
    folder="cifar-100-python",
    train=MappingProxyType({"train": "16019d7e3df5f24257cddd939b257f8d"}),
    test=MappingProxyType({"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}),
    labels="fine_labels",
    meta=MappingProxyType({"meta": "7973b15100ade9c7d40fb424638fde48"}),
)

CIFAR100 = DatasetInfo(
    classes=100,
    shape=(3, 32, 32),
    train=50_000,
    test=10_000,
    layout=FILES,
    digests={
        "train images": "4e457917601a66aed021f5fa37957b56c6319557c0a8ed5484de3c390af45430",
        "train labels": "9f11b9f97aad759ba6df0a33e3218b01d8deaf4ed3a14aa1185d69b9ad7ebcb3",
        "test images": "4cb8e5d9309da489bf6b19cc10cd96c3ae6f8daf225380b605aaee4c0d6aee19",
        "test labels": "4dad7d09c7c97d33f6cb928d705cf4196221316fd6e31bdd978a08ed9103ee0b",
    },
    downloads={"torchvision's download": torchvision_download("CIFAR100", FILES)},
)
