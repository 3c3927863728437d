"""The command ``scaffold``: the space that it prints is valid, commented and complete."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search import load_space
from search.cli.app import app
from search.errors import InputError
from snnkit.scaffold.reference import load_network
from snnkit.scaffold.trace import ScaffoldError

NET = """
from torch import nn

class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.SiLU()

    def forward(self, x):
        return x + self.act(self.bn(self.conv(x)))

def net(num_classes=3):
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), Residual(8), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), *head)

class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.never, self.head = nn.Conv2d(1, 4, 3), nn.Linear(100, 100), nn.Linear(4, 11)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))

BAD = nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
NUMBER = 3
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def written(*words: str) -> str:
    done = CliRunner().invoke(app, ["scaffold", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_space_loads_and_its_digest_covers_the_network(net: Path) -> None:
    text = written(f"{net}:net", "--input", "1x8x8")
    space = load_space(text)
    assert space.study.name == "net"
    assert space.base.network.model_dump()["family"] == "traced"
    assert [dial.path for dial in space.dials] == [
        "network.modules.module_2.keep", "network.widths.module_0", "network.widths.module_3",
    ]  # fmt: skip
    assert space.base.data.name == "digits"
    assert "2.conv = conv(0, channels=8, kernel=3, padding=1, bias=true, batchnorm=true, activation=silu)" in text
    same, other = load_space(text), load_space(text.replace("activation=silu", "activation=gelu"))
    assert same.base.fingerprint == space.base.fingerprint != other.base.fingerprint


def test_parameters_are_those_of_the_space(net: Path) -> None:
    text = written(f"{net}:Unused", "--input", "1x8x8")
    assert "# 95 parameters." in text  # 4 * 9 + 4, and 11 * 4 + 11
    assert "# 10,100 more parameters of the module are not in it: no score depends on them." in text
    assert "# Its last layer has 11 outputs. The space gives it 10, one for each class." in text
    assert load_space(text).base.static()["params"] == 90
    assert "not in it" not in written(f"{net}:net", "--input", "1x8x8")


def test_space_explains_itself(net: Path) -> None:
    text = written(f"{net}:net", "--input", "1x8x8")
    assert "# Kept: 0 reads the image." in text
    assert "# Kept: 3 changes the height and width of the images." in text
    assert re.search(r"# 2 layers: 0, 2\.conv$", text, re.MULTILINE)
    assert "(relu, silu)" in text


def test_classes_reach_the_network_and_the_data(net: Path) -> None:
    text = written(f"{net}:net", "--input", "1x8x8", "--classes", "4")
    assert "channels=4, bias=true" in text
    assert "data: {name: digits, classes: 4, resolution: 8}" in text


def test_file_is_written_once(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    assert written(f"{net}:net", "--input", "1x8x8", "--to", str(path)).strip() == str(path)
    before = path.read_text()
    with pytest.raises(InputError, match="exists and is not overwritten"):
        written(f"{net}:net", "--input", "1x8x8", "-o", str(path))
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("attribute", "size", "reason"),
    [
        ("BAD", "1x8x8", r"1: GroupNorm; use BatchNorm2d after the convolution"),
        ("net", "1x8", r"--input '1x8': write channels x height x width"),
        ("net", "1x8x9", r"no data set has 10 classes of 1x8x9 images"),
        ("net", "2x8x8", r"torch\.export cannot trace it for images of 2x8x8"),
        ("nets", "1x8x8", r"has no nets; it has .*net"),
        ("NUMBER", "1x8x8", r"is a int; name a torch\.nn\.Module"),
    ],
)
def test_refusal_says_what_to_write(net: Path, attribute: str, size: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        written(f"{net}:{attribute}", "--input", size)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("resnet18", "Write module:attribute, file.py:attribute or timm:NAME"),
        ("no_such_package:net", "cannot import no_such_package"),
        ("missing.py:net", "no such file"),
        ("timm:resnett18", "timm cannot build resnett18"),
        ("math:pi", "is a float"),
    ],
)
def test_unknown_reference_is_refused(reference: str, reason: str) -> None:
    with pytest.raises(ScaffoldError, match=reason):
        load_network(reference, 3, 10)
