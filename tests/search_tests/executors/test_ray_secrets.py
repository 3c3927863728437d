"""Ray hands environment and command line of a driver on; a database's password is in neither."""

import os
import subprocess
import sys

SHOW = """
import os
from ray._private.utils import get_entrypoint_name
from search.executors.ray_cluster import _secrets_hidden
with _secrets_hidden():
    print(get_entrypoint_name(), sorted(os.environ.items()))
print(os.environ["SNNSEARCH_STORAGE"], os.environ["PGPASSWORD"])
"""


def test_password_is_handed_to_ray_neither_by_the_environment_nor_by_the_command_line():
    address = "postgresql+psycopg://user:zebra7@host/database"
    settings = {**os.environ, "SNNSEARCH_STORAGE": address, "PGPASSWORD": "zebra8"}
    words = [sys.executable, "-c", SHOW, "launch", "space.yaml", "--storage", address]
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=True)
    handed, kept = done.stdout.splitlines()
    assert "postgresql+psycopg://user:***@host/database" in handed
    assert "zebra" not in handed
    assert kept == f"{address} zebra8"
