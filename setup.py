"""Put the shipped spaces into the package: all else about the build is in pyproject.toml."""

from setuptools import find_namespace_packages, setup

PACKAGES = ["snnsearch*", "search*", "snnkit*", "reports*"]
SPACES = "search.shipped"  # spaces/ in a checkout

setup(
    packages=[
        *find_namespace_packages(include=PACKAGES, exclude=["reports.gallery*"]),
        SPACES,
    ],
    package_dir={"": ".", SPACES: "spaces"},
)
