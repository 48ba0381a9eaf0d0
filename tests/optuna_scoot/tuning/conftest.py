"""Storages of every kind, each empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.postgres import temporary_server
from tests.proxy import proxy_thread


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A real PostgreSQL."""
    with temporary_server() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql", "journal", "grpc"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """What a storage of each kind is named by, with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/scoot.db"
    elif request.param == "journal":
        yield f"journal:{tmp_path}/scoot.log"
    elif request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("server")
        yield postgres.new_database(tmp_path.name)
    else:
        with proxy_thread(f"sqlite:///{tmp_path}/scoot.db") as found:
            yield found
