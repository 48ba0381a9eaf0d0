"""Journals: which files are one, and what survives in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages.journal._storage import JournalStorageReplayResult

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.journals import JournalFile
from optuna_scoot.tuning.journals import JournalLock
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage import load_study
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.storage import storage_failures


def make_study(file: Path) -> optuna.Study:
    """A study with two trials in a journal."""
    study = optuna.create_study(storage=open_storage(f"journal:{file}"), study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=2)
    return study


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "name a file"),
        (".", "name a file"),
        ("//scoot.log", "name a file"),
        ("/dev/null", "it is no file"),
        ("/tmp", "it is no file"),
        ("/no/such/folder/scoot.log", "no files can be made in /no/such/folder"),
    ],
)
def test_what_cannot_be_a_journal_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        check_storage(f"journal:{name}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [b"notes", b"notes\n", b'{"a": 1}\n', b"[1]\n[2]\n", b"SQLite format 3\x00", b"\x00\xff"],
)
def test_a_file_that_is_no_journal_is_refused_and_stays_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    for use in (check_storage, open_storage, load_study):
        with pytest.raises(InputError, match="no journal of Optuna's"):
            use(f"journal:{file}")
    assert file.read_bytes() == content


def test_a_journal_that_is_damaged_in_the_middle_is_told(tmp_path: Path) -> None:
    file = tmp_path / "scoot.log"
    make_study(file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], b'{"op_code":4,"stu\n', *lines[3:]]))
    with pytest.raises(InputError, match="or it is damaged"):
        open_storage(f"journal:{file}")


def test_an_unwritable_folder_is_told_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InputError, match=f"no files can be made in {tmp_path}"):
        check_storage(f"journal:{tmp_path}/scoot.log")


def test_asking_for_a_study_makes_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no study"):
        load_study(f"journal:{tmp_path}/scoot.log")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_for_its_owner_alone_and_its_lock_is_gone(tmp_path: Path) -> None:
    make_study(tmp_path / "scoot.log")
    assert [path.name for path in tmp_path.iterdir()] == ["scoot.log"]
    assert stat.S_IMODE((tmp_path / "scoot.log").stat().st_mode) == 0o600


@pytest.mark.parametrize("size", [10, 1 << 21])
def test_a_record_that_was_cut_off_is_taken_away_by_the_next(tmp_path: Path, size: int) -> None:
    file = tmp_path / "scoot.log"
    study = make_study(file)
    whole = file.read_bytes()
    with file.open("ab") as journal:
        journal.write(b'{"op_code":8,"user_attr":{"text":"' + size * b"x")
    assert len(study.trials) == 2
    study.set_user_attr("after", 1)
    assert file.read_bytes().startswith(whole)
    found = load_study(f"journal:{file}", "s")
    assert found.user_attrs == {"after": 1}
    assert len(found.trials) == 2


def test_a_record_for_which_the_disk_has_no_room_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path / "scoot.log")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space left")))
    with (
        pytest.raises(StoppedError, match=r"^storage journal:.*scoot.log: no space left$"),
        storage_failures(study._storage),
    ):
        study.set_user_attr("after", 1)


def test_a_lock_whose_owner_died_is_taken_from_another_path_to_the_same_folder(
    tmp_path: Path,
) -> None:
    # As on two machines that have the folder under two names, and with a path relative to one.
    (tmp_path / "here").mkdir()
    (tmp_path / "there").symlink_to(tmp_path / "here")
    make_study(tmp_path / "here" / "scoot.log")
    JournalLock(tmp_path / "here" / "scoot.log").acquire()
    file = JournalFile(tmp_path / "there" / "scoot.log")
    lock = file._lock
    assert isinstance(lock, JournalLock)
    lock.grace_period = 1  # instead of 30 s
    file.append_logs([{"op_code": 2}])
    assert not (tmp_path / "here" / "scoot.log.lock").exists()


def interrupt_reading(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C come while the next trial of another process is read."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(JournalStorageReplayResult, "_apply_create_trial", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study.get_trials()


def test_an_interrupt_while_a_journal_is_read_leaves_its_trials_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path / "scoot.log")
    other = load_study(f"journal:{tmp_path}/scoot.log", "s")
    other.ask()
    mine = study.ask()
    other.ask()
    interrupt_reading(study, monkeypatch)
    study.tell(mine, 0.5)
    for seen in (study, load_study(f"journal:{tmp_path}/scoot.log", "s")):
        assert len(seen.trials) == 5
        assert [t.number for t in seen.trials if t.values == [0.5]] == [mine.number]


def test_what_a_process_could_not_do_is_not_told_again_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path / "scoot.log")
    with pytest.raises(UpdateFinishedTrialError):
        study._storage.set_trial_user_attr(study.trials[0]._trial_id, "late", 1)
    load_study(f"journal:{tmp_path}/scoot.log", "s").ask()
    interrupt_reading(study, monkeypatch)
    assert len(study.trials) == 3
