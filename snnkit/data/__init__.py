"""Data sets: their names and shapes, how they are obtained and checked, and how they are cut. Loads no torch."""

from snnkit.data.choice import DataChoice
from snnkit.data.datasets import DATASETS
from snnkit.data.images import DataError, DataSet, Images
from snnkit.data.loading import Status, data_root, fetch, load, status
from snnkit.data.sending import packed, receive
from snnkit.data.splitting import Splits, splits

__all__ = [
    "DATASETS",
    "DataChoice",
    "DataError",
    "DataSet",
    "Images",
    "Splits",
    "Status",
    "data_root",
    "fetch",
    "load",
    "packed",
    "receive",
    "splits",
    "status",
]
