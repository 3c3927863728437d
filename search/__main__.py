"""``python -m search``: the command line, the same as ``snnsearch``."""

import contextlib
import os
import sys

current = ""
with contextlib.suppress(FileNotFoundError):  # it was deleted
    current = os.getcwd()
if sys.path[0] == current != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]  # `python -m` puts the current folder first, and with it a user's own reports.py or snnkit/

from search.cli import main  # noqa: E402  # the path comes first

main()
