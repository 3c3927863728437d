"""``python -m search``: the command line, the same as ``snnsearch``."""

import os
import sys

if sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]  # `python -m` puts the current folder first, and with it a user's own reports.py or snnkit/

from search.cli import main

main()
