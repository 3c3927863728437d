"""A PostgreSQL server for tests: the one that SNNSEARCH_TEST_POSTGRES names, or one of our own that may be killed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
import sqlalchemy
from helpers.waiting import PATIENCE_S

PASSWORD = "s3cr3t-Zebra/9"  # distinctive, and with a letter that an address must escape
NEEDED = "install it (apt-get install postgresql; pip install 'snnsearch[postgresql]') or name one in " + (
    "SNNSEARCH_TEST_POSTGRES=postgresql+psycopg://user@host/database"
)


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None where no server is installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Server:
    """Its own server in a folder of its own, on loopback, with a password."""

    def __init__(self) -> None:
        folder = binaries()
        assert folder is not None
        self._binaries = folder
        self.folder = Path(tempfile.mkdtemp(prefix="snnsearch-postgres-"))
        self.port = free_port()
        self._user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = next(name for name in ("postgres", "nobody") if _there(name))
            shutil.chown(self.folder, self._user)
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-U", "snn", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "-E", "UTF8")
        self.start()

    def start(self) -> None:
        settings = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", settings, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def remove(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._binaries / program), "-D", str(self.folder / "data"), *words]
        # its output to a file: the server that pg_ctl starts keeps what it inherits open
        with open(self.folder / "out", "w+") as out:
            done = subprocess.run(
                command, user=self._user, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False,
                timeout=PATIENCE_S, env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C"}, cwd=self.folder,
            )  # fmt: skip
            out.seek(0)
            assert done.returncode == 0, f"{program} {' '.join(words)}: {out.read()}"

    def address(self, database: str = "postgres", port: int | None = None) -> sqlalchemy.URL:
        return sqlalchemy.URL.create("postgresql+psycopg", "snn", PASSWORD, "127.0.0.1", port or self.port, database)

    def database(self) -> str:
        """The address of a new one, with the password in it."""
        name = f"test_{uuid.uuid4().hex[:8]}"
        engine = sqlalchemy.create_engine(self.address(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.address(name).render_as_string(hide_password=False)


def _there(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def server_or_skip() -> Server:
    """Raises pytest's Skipped."""
    pytest.importorskip("psycopg", reason=f"no driver for PostgreSQL: {NEEDED}")
    if binaries() is None:
        pytest.skip(f"no PostgreSQL server: {NEEDED}")
    return Server()
