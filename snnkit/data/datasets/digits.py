"""Handwritten digits (Alpaydin and Kaynak 1998, UCI): the 1,797 grey 8x8 images that scikit-learn contains."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.images import DataSet, Images

TEST_IMAGES = 360  # the last fifth, in scikit-learn's order


@dataclass(frozen=True)
class Digits:
    """Images at 16x16 pixels: each pixel is doubled, so that three poolings leave 2x2. Grey levels become 0..255."""

    description: str = "nothing: it comes with scikit-learn"
    embedded: bool = True

    def location(self, root: Path) -> Path:
        return root

    def fingerprint(self, root: Path) -> str:
        return ""

    def read(self, root: Path) -> DataSet:
        from sklearn.datasets import load_digits

        raw = load_digits()
        small = np.rint(raw.images * (255 / 16)).astype(np.uint8)
        images = small.repeat(2, axis=1).repeat(2, axis=2)[:, None]  # (N, 1, 16, 16)
        labels = raw.target.astype(np.int64)
        return DataSet(
            train=Images(images[:-TEST_IMAGES], labels[:-TEST_IMAGES]),
            test=Images(images[-TEST_IMAGES:], labels[-TEST_IMAGES:]),
            classes=tuple(str(digit) for digit in raw.target_names),
        )


DIGITS = DatasetInfo(classes=10, shape=(1, 16, 16), train=1_437, test=TEST_IMAGES, layout=Digits())
