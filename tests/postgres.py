"""A PostgreSQL server of the tests' own, on a free port, with its data in a folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.engines.ports import choose_port


USER = "scoot"


@dataclass(frozen=True)
class Postgres:
    """A server that can be stopped and started again.

    Attributes:
        folder: Of its data; belongs to the user who runs it.
        port: Where it listens, on loopback.
    """

    folder: Path
    port: int

    @classmethod
    def make(cls, folder: Path) -> Postgres:
        """Make a server's data and start it."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = cls(folder, choose_port("127.0.0.1"))
        server._call("initdb", "-D", folder, "-U", USER, "-A", "trust", "--no-sync")
        server.start()
        return server

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -F"
        log = self.folder / "log"
        self._call("pg_ctl", "-D", self.folder, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once; connections break."""
        self._call("pg_ctl", "-D", self.folder, "-w", "-m", "immediate", "stop")

    def drop_connections(self) -> None:
        """End every connection that another process has to a database."""
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and datname is not null"
        )

    def new_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self.sql(f'create database "{name}"')
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str) -> None:
        """Run a statement."""
        where = ["-h", "127.0.0.1", "-p", self.port, "-U", USER, "-d", "postgres"]
        self._call("psql", *where, "-c", statement)

    def _call(self, program: str, *words: Any) -> None:
        as_root = os.geteuid() == 0
        subprocess.run(
            [_program(program), *map(str, words)],
            check=True,
            timeout=120,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user="postgres" if as_root else None,
        )


@contextlib.contextmanager
def temporary_server() -> Iterator[Postgres]:
    """A server that is gone with its data afterwards."""
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        Path(folder).chmod(0o755)  # the server is another user's where root runs the tests
        server = Postgres.make(Path(folder) / "data")
        try:
            yield server
        finally:
            server.stop()


def _program(name: str) -> str:
    """Return where a program of PostgreSQL is; Debian keeps the server's out of the PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        raise FileNotFoundError(f"{name}: PostgreSQL is not installed (Debian: postgresql)")
    return found
