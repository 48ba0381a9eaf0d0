"""Files for their owner alone, whatever waits in their folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.private_files import make_private
from optuna_scoot.tuning.private_files import write_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_write_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path, "best.yaml", "old")
    write_file(tmp_path, "best.yaml", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]
    assert (tmp_path / "best.yaml").read_text() == "new"


def test_its_owner_alone_reads_a_file_also_one_that_all_could_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("old")
    (tmp_path / "result.json").chmod(0o644)
    before = os.umask(0)
    try:
        written = write_file(tmp_path, "result.json", "new")
    finally:
        os.umask(before)
    assert mode(written) == 0o600


def test_planted_links_are_not_followed(tmp_path: Path) -> None:
    folder, victim = tmp_path / "out", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("mine")
    (folder / f".result.json.{os.getpid()}").symlink_to(victim)
    (folder / "result.json").symlink_to(victim)
    written = write_file(folder, "result.json", "new")
    assert victim.read_text() == "mine"
    assert written.read_text() == "new"
    assert not written.is_symlink()


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").mkdir()
    with pytest.raises(InputError, match=r"best\.yaml: Is a directory"):
        write_file(tmp_path, "best.yaml", "new")
    with pytest.raises(UnicodeEncodeError):
        write_file(tmp_path, "trials.csv", "\udc80")
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]


def test_a_private_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    make_private(tmp_path / "scoot.db")
    assert mode(tmp_path / "scoot.db") == 0o600
    (tmp_path / "theirs.db").write_text("x")
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    for name in ("theirs.db", "link.db", "no/such/folder.db"):
        make_private(tmp_path / name)
    assert (tmp_path / "theirs.db").read_text() == "x"
    assert not (tmp_path / "nowhere").exists()


def test_file_that_does_not_fit_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path;"
        "from optuna_scoot.tuning.private_files import write_file;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "write_file(Path(sys.argv[1]), 'best.yaml', 'new' * 100)"
    )
    write_file(tmp_path, "best.yaml", "old")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "best.yaml: File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]
    assert (tmp_path / "best.yaml").read_text() == "old"
