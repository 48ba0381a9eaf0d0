from __future__ import annotations

import pytest

from objectives.engines.environment import inherited


def test_an_engine_inherits_everything_but_what_opens_a_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"HF_TOKEN": "hf_1", "HTTPS_PROXY": "http://me:pw@proxy", "LMCACHE_URL": "redis://:x@h"}
    left_out = {
        "OPTUNA_SCOOT_STORAGE": "anything",
        "PGPASSWORD": "hush",
        "MYSQL_PWD": "hush",
        "DATABASE_URL": "postgresql+psycopg://me:hush@host/db",
        "OTHER_DATABASE": "mysql://me:hush@host/db",
    }
    for name, value in {**kept, **left_out}.items():
        monkeypatch.setenv(name, value)
    found = inherited()
    assert found.items() >= kept.items()
    assert not found.keys() & left_out.keys()
