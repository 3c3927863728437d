"""``python -m search``: the command line, the same as ``snnsearch``."""

from search.cli.main import main

main()
