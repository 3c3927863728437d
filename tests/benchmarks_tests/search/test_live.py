"""The commands that run searches side by side."""

import subprocess

import pytest

from benchmarks.search.live.run import METHODS, command


@pytest.mark.parametrize("method", METHODS)
def test_only_our_method_begins_with_the_corners(method, tmp_path):
    program, flag, code = command(method, 0, tmp_path, "1m")
    names = code.partition("from search.cli import")[0] + "import search.study.create as c; print(c.initial_design)"
    done = subprocess.run([program, flag, names], capture_output=True, text=True, check=True)
    assert ("lambda" in done.stdout) == (method != "ours")
