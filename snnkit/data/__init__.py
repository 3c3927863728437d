"""Data sets: names and shapes, loading and verification, splits. Importing this package does not load torch."""

from snnkit.data.choice import DataChoice
from snnkit.data.classes import ClassCount, count_classes
from snnkit.data.datasets import DATASETS
from snnkit.data.described import Described, describe_change, identify, list_described
from snnkit.data.images import DataError, DataProblems, DataSet, Images
from snnkit.data.loading import Status, dataset_status, fetch_dataset, load_dataset
from snnkit.data.sources.source import DataSource
from snnkit.data.splitting import Splits, split_dataset
from snnkit.data.store_place import data_root
from snnkit.data.transfer import pack_dataset, receive_dataset

__all__ = [
    "DATASETS",
    "ClassCount",
    "DataChoice",
    "DataError",
    "DataProblems",
    "DataSet",
    "DataSource",
    "Described",
    "Images",
    "Splits",
    "Status",
    "count_classes",
    "data_root",
    "dataset_status",
    "describe_change",
    "fetch_dataset",
    "identify",
    "list_described",
    "load_dataset",
    "pack_dataset",
    "receive_dataset",
    "split_dataset",
]
