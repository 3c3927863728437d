"""The functions that ``import snnkit`` offers."""

import doctest
import subprocess
import sys

import pytest

import snnkit


def test_example_of_the_docstring_runs_as_shown() -> None:
    result = doctest.testmod(snnkit)
    assert result.attempted >= 6
    assert result.failed == 0


def test_import_loads_no_torch() -> None:
    program = "import sys, snnkit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="has build_network, count, count_operations, estimate_energy"):
        _ = snnkit.build
    with pytest.raises(ValueError, match="given family 'squeezenut'; allowed are squeezenet"):
        snnkit.build_network("squeezenut", classes=10, in_shape=(3, 32, 32))
