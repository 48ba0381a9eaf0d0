"""Errors of a storage that is away, told from errors that say what is wrong."""

from __future__ import annotations

import errno
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import grpc
import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc.server import make_server
from optuna.storages.journal import JournalFileOpenLock
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import OperationalError

from objectives.engines.ports import choose_port
from optuna_scoot.tuning.outages import broke_off
from optuna_scoot.tuning.outages import is_outage
from optuna_scoot.tuning.outages import proxy_status
from optuna_scoot.tuning.proxies import make_proxy


def outage() -> OperationalError:
    return OperationalError("select 1", None, ConnectionError("server closed the connection"))


def wrapped(error: Exception) -> StorageInternalError:
    """An error of the database as Optuna passes it on."""
    try:
        raise StorageInternalError from error
    except StorageInternalError as found:
        return found


def test_a_connection_that_broke_off_is_told_from_one_that_was_refused() -> None:
    ended = OperationalError("select 1", None, Exception("terminating connection"))
    refused = OperationalError(None, None, ConnectionRefusedError("connection refused"))
    greeted = OperationalError(None, None, Exception("server closed the connection unexpectedly"))
    assert broke_off(wrapped(ended))
    assert broke_off(greeted)
    assert is_outage(refused)
    assert not broke_off(refused)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (outage(), True),
        (wrapped(outage()), True),
        (OperationalError("", None, sqlite3.OperationalError("database is locked")), True),
        (OperationalError("", None, sqlite3.OperationalError("no such table: studies")), False),
        (OperationalError("", None, sqlite3.OperationalError("disk I/O error")), False),
        (IntegrityError("", None, ValueError("duplicate key")), False),
        (wrapped(IntegrityError("", None, ValueError("duplicate key"))), False),
        (StorageInternalError("of no cause"), False),
        (KeyError("no study"), False),
        (OSError(errno.ESTALE, "stale file handle"), True),
        (OSError(errno.ENOSPC, "no space left on device"), False),
        (PermissionError(errno.EACCES, "permission denied"), False),
        (RuntimeError("maximum recursion depth exceeded"), False),
    ],
)
def test_an_outage_is_told_from_what_is_wrong(error: Exception, away: bool) -> None:
    assert is_outage(error) == away


def test_a_journals_lock_that_others_took_while_this_process_stood_still_is_an_outage(
    tmp_path: Path,
) -> None:
    lock = JournalFileOpenLock(str(tmp_path / "scoot.log"))
    lock.acquire()
    JournalFileOpenLock(str(tmp_path / "scoot.log")).release()
    with pytest.raises(RuntimeError) as broken:
        lock.release()
    assert is_outage(broken.value)


def refusal(storage: GrpcStorageProxy) -> Exception:
    """The error of a call that cannot be answered."""
    try:
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "s")
    except Exception as error:
        return error
    raise AssertionError("it was answered")


def test_a_proxy_that_is_away_is_an_outage() -> None:
    error = refusal(GrpcStorageProxy(host="127.0.0.1", port=choose_port("127.0.0.1")))
    assert proxy_status(error) == "UNAVAILABLE"
    assert is_outage(error)


def ours(database: str, port: int) -> grpc.Server:
    """The proxy of this project, begun."""
    server = make_proxy(database, "127.0.0.1", port)
    server.start()
    return server


def optunas(database: str, port: int) -> grpc.Server:
    """Optuna's own proxy, begun."""
    server = make_server(optuna.storages.get_storage(database), "127.0.0.1", port)
    server.start()
    return server


@pytest.mark.parametrize("proxy", [ours, optunas])
@pytest.mark.parametrize(
    ("behind", "away"),
    [
        (outage(), True),
        (OperationalError("", None, sqlite3.OperationalError("database is locked")), True),
        (OperationalError("", None, sqlite3.OperationalError("disk I/O error")), False),
        (AssertionError("a fault of the proxy"), False),
    ],
)
def test_what_a_proxy_passes_on_is_an_outage_where_its_database_is_away(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proxy: Callable[[str, int], grpc.Server],
    behind: Exception,
    away: bool,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise behind

    monkeypatch.setattr(optuna.storages.RDBStorage, "create_new_study", fail)
    port = choose_port("127.0.0.1")
    server = proxy(f"sqlite:///{tmp_path}/scoot.db", port)
    try:
        assert is_outage(refusal(GrpcStorageProxy(host="127.0.0.1", port=port))) == away
    finally:
        server.stop(None)


def test_other_errors_have_no_status_of_a_proxy() -> None:
    assert proxy_status(outage()) is None
    assert proxy_status(socket.gaierror(-2, "Name or service not known")) is None
