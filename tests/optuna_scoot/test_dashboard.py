"""A finished study in the real optuna-dashboard: crashes, limits, the answer, figures, files."""

from __future__ import annotations

import csv
import gzip
import json
import os
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import optuna_dashboard
import pytest
from optuna.exceptions import StorageInternalError
from playwright.sync_api import Page

from optuna_scoot.cli.main import run
from optuna_scoot.cli.page import read_contents
from optuna_scoot.dashboard import show
from optuna_scoot.dashboard import study_note
from optuna_scoot.html_report.contents import Contents
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from tests.browser import chromium
from tests.dashboard import Dashboard
from tests.dashboard import dashboard
from tests.small_model import make_small_model


STAND_IN = Path(__file__).parents[1] / "objectives" / "engines" / "stand_in_server.py"
SAID = "ValueError: <b>no</b> `memory` for **128**, asked by hush-hush-99"
# By default each answer takes a second; with 128 sequences it dies as it starts.
SERVE = f"""#!/bin/sh
case "$*" in
*--max-num-seqs?128*) STAND_IN='die 1 {SAID}' ;;
*--max-num-seqs?256*) STAND_IN='slow 1' ;;
esac
export STAND_IN
exec "{sys.executable}" "{STAND_IN}" "$@"
"""
Trials = tuple[dict[str, Any], ...]
LIMIT = "p99 ttft <= 500 ms"
TUNE = ["tune", "--model", "model", "--trace", "t.jsonl", "--rate", "8", "--duration", "1"]
TUNE += ["--engine-command", "./serve", "--study", "s", "--sampler", "random", "--seed", "1"]
TUNE += ["--trials", "3", "--verify", "0", "--output", "out", "--storage", "sqlite:///scoot.db"]
TUNE += ["--minimize", "mean ttft", "--minimize", "mean e2el", "--slo", LIMIT]
TUNE += ["--enqueue", "max_num_seqs=128", "--enqueue", "max_num_seqs=64"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a study was tuned: the default misses a limit, the next crashes, the last is best."""
    place = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("HF_TOKEN", "hush-hush-99")
        make_small_model(Path("model"))
        Path("t.jsonl").write_text('{"prompt_tokens": 9, "output_tokens": 5}\n')
        Path("serve").write_text(SERVE)
        Path("serve").chmod(0o755)
        assert run(TUNE) == 0
        yield place


@pytest.fixture(scope="module")
def shown(folder: Path) -> Iterator[Dashboard]:
    with dashboard(f"sqlite:///{folder}/scoot.db", folder / "out" / "artifacts") as found:
        yield found


@pytest.fixture(scope="module")
def study(shown: Dashboard) -> dict[str, Any]:
    """What the dashboard's page is told of the study."""
    return shown.study("s")


@pytest.fixture(scope="module")
def page(shown: Dashboard) -> Iterator[Page]:
    """The study's page; nothing may go wrong in it while the tests look at it."""
    with chromium() as browser:
        found = browser.new_page()
        errors: list[str] = []
        found.on("pageerror", lambda error: errors.append(str(error)))
        found.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        found.goto(f"{shown.address}/dashboard/studies/1")
        yield found
        assert errors == []


def attributes(trial: dict[str, Any]) -> dict[str, str]:
    return {attr["key"]: attr["value"] for attr in trial["user_attrs"]}


@pytest.fixture(scope="module")
def trials(study: dict[str, Any]) -> Trials:
    """The default, what crashed, and the best; on a busy machine one may have been tried again."""
    counted = [t for t in study["trials"] if "failure_is_external" not in attributes(t)]
    default, crashed, best = counted
    return default, crashed, best


def open_trial(page: Page, number: int) -> None:
    page.locator("a[href$='/trials']").first.click()
    page.get_by_text(f"Trial {number}", exact=True).click()
    page.get_by_role("heading", name=f"Trial {number} (").wait_for()


def test_each_metric_is_a_column_that_can_be_sorted(study: dict[str, Any]) -> None:
    sortable = {attr["key"]: attr["sortable"] for attr in study["union_user_attrs"]}
    for name in ("TTFT p99 (ms)", "ITL mean (ms)", "throughput (requests/s)", "failed requests"):
        assert sortable[name] is True
    told = [pair for trial in study["trials"] for pair in attributes(trial).items()]
    assert {name for name, value in told if value.startswith(("{", "["))} <= {"log_tail"}


def test_what_misses_a_limit_is_infeasible(trials: Trials) -> None:
    default, crashed, best = trials
    (missed,), (kept,) = default["constraints"], best["constraints"]
    assert kept <= 0 < missed
    assert crashed["constraints"] == []
    assert attributes(default)["limits"] == f"misses {LIMIT} by {100 * missed:.3g} %"
    assert attributes(best)["limits"] == "kept"


def test_a_crash_says_why_in_its_note_and_nothing_of_it_is_a_tag_or_a_secret(
    page: Page, trials: Trials
) -> None:
    open_trial(page, trials[1]["number"])
    page.get_by_text("Crashed: startup failed").wait_for()
    said = SAID.replace("hush-hush-99", "***")
    page.locator("p", has_text=said).first.wait_for()
    page.locator("pre", has_text="--max-num-seqs").filter(has_text=said).wait_for()
    assert page.locator("b", has_text="no").count() == 0
    assert "hush" not in page.content()


def test_the_default_is_marked(page: Page, trials: Trials) -> None:
    open_trial(page, trials[0]["number"])
    page.get_by_text("The default configuration").wait_for()
    marked = [attributes(t).get("default_configuration") for t in trials]
    assert marked == ["True", None, None]


def test_the_note_of_the_study_is_the_answer_with_the_command(page: Page, trials: Trials) -> None:
    page.locator("a[href$='/note']").first.click()
    page.get_by_role("heading", name="optuna-scoot").wait_for()
    page.locator("strong", has_text="best trade-off").wait_for()
    command = page.locator("pre", has_text="vllm serve model").inner_text()
    assert "--max-num-seqs 64" in command
    rows = [row.inner_text().split("\t")[:2] for row in page.get_by_role("row").all()]
    default, _, best = (str(trial["number"]) for trial in trials)
    assert rows == [["", "trial"], ["default", default], ["best while tuning", best]]
    page.get_by_text("3 trials, 2 completed, 1 crashed").wait_for()


def test_figures_are_drawn_with_the_default_and_what_crashed(
    page: Page, study: dict[str, Any], trials: Trials
) -> None:
    figures = {f["id"]: json.loads(f["graph_object"]) for f in study["plotly_graph_objects"]}
    assert set(figures) == {"front", "convergence", "feasibility"}
    default = next(t for t in figures["front"]["data"] if t.get("name") == "default")
    assert [default["x"][0], default["y"][0]] == trials[0]["values"]
    crashed = next(t for t in figures["feasibility"]["data"] if t.get("name") == "crashed")
    assert len(crashed["x"]) == 1
    assert "role:" not in json.dumps(figures)
    page.locator("a[href$='/studies/1']").first.click()
    for figure in figures.values():
        page.locator(".gtitle", has_text=figure["layout"]["title"]["text"]).wait_for()


def test_files_can_be_fetched_and_are_their_owners_alone(
    folder: Path, shown: Dashboard, study: dict[str, Any], trials: Trials
) -> None:
    files = {a["filename"]: a["artifact_id"] for a in study["artifacts"]}
    assert {"report.html", "best.yaml", "result.json", "trials.csv"} <= set(files)
    for name, identity in files.items():
        saved = shown.get(f"/artifacts/{study['study_id']}/{identity}")
        assert saved == (folder / "out" / name).read_bytes()
    crashed = trials[1]
    (log,) = crashed["artifacts"]
    path = f"/artifacts/{study['study_id']}/{crashed['trial_id']}/{log['artifact_id']}"
    assert SAID.replace("hush-hush-99", "***") in shown.get(path).decode()
    for best_or_default in (trials[0], trials[2]):
        (requests,) = best_or_default["artifacts"]
        assert requests["filename"] == "requests.csv.gz"
        saved = shown.get(
            f"/artifacts/{study['study_id']}/{best_or_default['trial_id']}/{requests['artifact_id']}"
        )
        rows = list(csv.DictReader(gzip.decompress(saved).decode().splitlines()))
        ttft = [1000 * (float(row["first_token"]) - float(row["sent"])) for row in rows]
        assert sum(ttft) / len(ttft) == pytest.approx(best_or_default["values"][0], rel=1e-3)
    artifacts = [Path(entry) for entry in (folder / "out" / "artifacts").iterdir()]
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in artifacts} == {0o600}
    assert not [path for path in artifacts if b"hush" in path.read_bytes()]


@pytest.fixture(scope="module")
def contents() -> Contents:
    """Of a small simulated study."""
    result = tune(simulated_task("bot-2xa100-13b", slo=["p99 ttft <= 32 s"]), n_trials=7, seed=0)
    return read_contents(result.study)


def test_what_somebody_has_written_above_our_heading_stays(
    contents: Contents, tmp_path: Path
) -> None:
    study = optuna.create_study()
    optuna_dashboard.save_note(study, "Do not deploy!")
    for _ in range(2):
        show(study, contents, tmp_path, str)
    note = optuna_dashboard.get_note(study)
    assert note == f"Do not deploy!{study_note(contents)}"
    assert note.count("## optuna-scoot") == 1


def test_while_another_worker_runs_note_and_figures_are_left_to_it(
    contents: Contents, tmp_path: Path
) -> None:
    study = optuna.create_study()
    running = replace(contents, report=replace(contents.report, running=1))
    show(study, running, tmp_path, str)
    assert optuna_dashboard.get_note(study) == ""
    show(study, contents, tmp_path, str)
    assert "simulated" in optuna_dashboard.get_note(study)


def test_workers_that_end_together_write_the_same(contents: Contents, tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/scoot.db")
    url = f"sqlite:///{tmp_path}/scoot.db"
    others = [optuna.load_study(study_name=study.study_name, storage=url) for _ in range(4)]
    show(study, contents, tmp_path, str)
    alone = study._storage.get_study_system_attrs(study._study_id)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda other: show(other, contents, tmp_path, str), others))
    assert study._storage.get_study_system_attrs(study._study_id) == alone


def test_what_cannot_be_shown_ends_nothing(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "artifacts").write_text("no folder")
    study = optuna.create_study()
    show(study, contents, tmp_path, str)
    assert len(study._storage.get_study_system_attrs(study._study_id)) > 3

    def broken(*arguments: Any) -> None:
        raise StorageInternalError("the disk is full")

    monkeypatch.setattr(study._storage, "set_study_system_attr", broken)
    optuna_note = optuna_dashboard.get_note(study)
    show(study, replace(contents, title="another"), tmp_path, str)
    assert optuna_dashboard.get_note(study) == optuna_note
