"""Storages that cannot be used, and secrets in their URLs."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import optuna
import pytest

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.storage import mask_url
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.storage import open_study


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///scoot.db", "sqlite:///scoot.db"),
        ("postgresql://me:hush@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me@host/db?password=hush&x=1", "postgresql://me@host/db"),
        ("postgresql://me:hu%40sh@host/db", "postgresql://me:***@host/db"),
        ("me:hush@host/db", "***@host/db"),
        ("postgresql://me:hush@host:port/db", "postgresql://***@host:port/db"),
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
        ("oracle://me:hush@host/db", "driver is not installed"),
        ("sqlite:///no/such/folder/scoot.db", "unable to open database file"),
        ("sqlite:///:memory:", "keeps nothing"),
    ],
)
def test_unusable_storage_is_one_line_without_secrets(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_storage(url)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


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
