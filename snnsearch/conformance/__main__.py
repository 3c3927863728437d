"""Run the conformance tests on a space: ``python -m snnsearch.conformance my_space.yaml``."""

import os
import sys


def main() -> int:
    """Run pytest, and return its exit code; 2 if no space is named or pytest is missing."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print("usage: python -m snnsearch.conformance SPACE.yaml [arguments of pytest]", file=sys.stderr)
        return 2
    try:
        import pytest
    except ImportError:
        print("the conformance tests need pytest: pip install pytest", file=sys.stderr)
        return 2
    space, *further = sys.argv[1:]
    own = ["-p", "snnsearch.conformance.plugin", "--pyargs", "snnsearch.conformance", "--space", space]
    return int(pytest.main([*own, "-p", "no:cacheprovider", "-c", os.devnull, *further]))  # not the project's options


if __name__ == "__main__":
    sys.exit(main())
