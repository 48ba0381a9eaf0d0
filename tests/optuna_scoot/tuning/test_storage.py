"""Storages that cannot be used, and secrets in their URLs."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.storage import open_study
from optuna_scoot.tuning.storage import storage_failures
from optuna_scoot.tuning.storage_urls import mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///scoot.db", "sqlite:///scoot.db"),
        ("postgresql://me:hush@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me@host/db?password=hush&x=1", "postgresql://me@host/db"),
        ("postgresql://me:hu%40sh@host/db", "postgresql://me:***@host/db"),
        ("me:hush@host/db", "***@host/db"),
        ("postgresql://me:hush@host:port/db", "postgresql://***@host:port/db"),
        ("postgresql://me:hu@sh@host/db", "postgresql://***@host/db"),
        ("postgresql://me:hu/sh@sh@host/db", "postgresql://***@host/db"),
        ("postgresql://me:x@y/hush@host/db", "postgresql://***@host/db"),
        ("postgresql://me:x@y:hush@host/db", "postgresql://***@host/db"),
        ("postgresql://me:x?hush@sh@host:port/db", "postgresql://***"),
        ("nonsense?password=x@hush", "***"),
    ],
)
def test_masked_url_shows_no_secret(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not a storage URL"),
        ("postgresql://me:hush@host:port/db", "not a storage URL"),
        ("nosuch://me:hush@host/db", "no such kind of database"),
        ("oracle://me:hush@host/db", "driver is not installed: pip install oracledb"),
        ("mysql://me:hush@host/db", "driver is not installed: pip install mysqlclient"),
        ("mysql+pymysql://me:hush@host/db", "driver is not installed: pip install pymysql"),
        ("postgresql://me:x@y:hush@host/db", "in its password @ is written as %40"),
        ("sqlite:///no/such/folder/scoot.db", "unable to open database file"),
        ("sqlite:///:memory:", "keeps nothing"),
    ],
)
def test_unusable_storage_is_one_line_without_secrets(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_storage(url)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("password", ["x@hush", "x/y@hush", "x@y/hush", "x@y:hush"])
def test_password_that_is_read_as_a_part_of_the_host_is_refused_without_it(password: str) -> None:
    with pytest.raises(InputError, match="in its password @ is written as %40") as refused:
        check_storage(f"postgresql://me:{password}@host/db")
    assert "hush" not in str(refused.value)


def test_a_file_may_have_an_at_in_its_path(tmp_path: Path) -> None:
    (tmp_path / "me@work").mkdir()
    check_storage(f"sqlite:///{tmp_path}/me@work/scoot.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:hu%40sh%2F@host/db", "no password hu@sh/ for me"),
        ("postgresql://me:hu%40sh%2F@host/db", "no URL postgresql://me:hu%40sh%2F@host/db"),
        ("postgresql://me@host/db?password=hush-hush&x=1", "no password 'hush-hush' for me"),
    ],
)
def test_words_of_a_database_are_shown_without_the_password(url: str, said: str) -> None:
    error = OperationalError("SELECT 1", None, Exception(said))
    with pytest.raises(StoppedError, match=r"no (password|URL)") as stopped, storage_failures(url):
        raise error
    assert "hu" not in str(stopped.value)
    assert "***" in str(stopped.value).partition(": no")[2]


def test_database_file_is_for_its_owner_alone_and_one_that_exists_stays_as_it_is(
    tmp_path: Path,
) -> None:
    file = tmp_path / "scoot.db"
    for mode in (0o600, 0o640):
        open_storage(f"sqlite:///{file}")
        assert stat.S_IMODE(file.stat().st_mode) == mode
        file.chmod(0o640)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but longer than the header of one would be, surely so\n" * 9)
    with pytest.raises(InputError, match="file is not a database"):
        open_storage(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("schema", "advice"),
    [
        ("v3.0.0.a", "of an older version of Optuna; .*optuna storage upgrade"),
        ("v99.0.0.a", "of a newer version of Optuna than .*: upgrade Optuna"),
    ],
)
def test_tables_of_another_optuna_are_refused_with_what_helps(
    tmp_path: Path, schema: str, advice: str
) -> None:
    path = tmp_path / "scoot.db"
    open_storage(f"sqlite:///{path}")
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("update alembic_version set version_num = ?", (schema,))
        database.commit()
    with pytest.raises(InputError, match=advice) as caught:
        open_storage(f"sqlite:///{path}")
    assert ("storage upgrade" in str(caught.value)) == (schema < "v4")


def test_study_with_other_objectives_is_refused(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/scoot.db")
    sampler = optuna.samplers.RandomSampler()
    open_study(storage, "s", ["minimize"], sampler)
    same = open_study(storage, "s", ["minimize"], sampler)
    assert same.study_name == "s"
    with pytest.raises(InputError, match="'s' exists and has other objectives"):
        open_study(storage, "s", ["maximize"], sampler)
