"""A finished study in the real optuna-dashboard: crashes, limits, the answer, figures, files."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from optuna_scoot.cli.main import run
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


def open_trial(page: Page, number: int) -> None:
    page.locator("a[href$='/trials']").first.click()
    page.get_by_text(f"Trial {number}", exact=True).click()
    page.get_by_role("heading", name=f"Trial {number} (").wait_for()


def test_each_metric_is_a_column_that_can_be_sorted(study: dict[str, Any]) -> None:
    sortable = {attr["key"]: attr["sortable"] for attr in study["union_user_attrs"]}
    for name in ("TTFT p99 (ms)", "ITL mean (ms)", "throughput (requests/s)", "failed requests"):
        assert sortable[name] is True
    values = [value for trial in study["trials"] for value in attributes(trial).values()]
    assert not [value for value in values if value.startswith(("{", "["))]


def test_what_misses_a_limit_is_infeasible(study: dict[str, Any]) -> None:
    default, crashed, best = study["trials"]
    (missed,), (kept,) = default["constraints"], best["constraints"]
    assert kept <= 0 < missed
    assert crashed["constraints"] == []
    assert attributes(default)["limits"] == f"misses {LIMIT} by {100 * missed:.3g} %"
    assert attributes(best)["limits"] == "kept"


def test_a_crash_says_why_in_its_note_and_nothing_of_it_is_a_tag_or_a_secret(page: Page) -> None:
    open_trial(page, 1)
    page.get_by_text("Crashed: startup failed").wait_for()
    said = SAID.replace("hush-hush-99", "***")
    assert page.locator("p", has_text=said).count() >= 1
    assert page.locator("pre", has_text="--max-num-seqs").filter(has_text=said).count() == 1
    assert page.locator("b", has_text="no").count() == 0
    assert "hush" not in page.content()


def test_the_default_is_marked(page: Page, study: dict[str, Any]) -> None:
    open_trial(page, 0)
    page.get_by_text("The default configuration").wait_for()
    marked = [attributes(t).get("default_configuration") for t in study["trials"]]
    assert marked == ["True", None, None]


def test_the_note_of_the_study_is_the_answer_with_the_command(page: Page) -> None:
    page.locator("a[href$='/note']").first.click()
    page.get_by_role("heading", name="optuna-scoot").wait_for()
    assert page.locator("strong", has_text="best trade-off").count() == 1
    command = page.locator("pre", has_text="vllm serve model").inner_text()
    assert "--max-num-seqs 64" in command
    rows = [row.inner_text().split("\t")[:2] for row in page.get_by_role("row").all()]
    assert rows == [["", "trial"], ["default", "0"], ["best while tuning", "2"]]
    assert page.get_by_text("3 trials, 2 completed, 1 crashed").count() == 1


def test_figures_are_drawn_with_the_default_and_what_crashed(
    page: Page, study: dict[str, Any]
) -> None:
    figures = {f["id"]: json.loads(f["graph_object"]) for f in study["plotly_graph_objects"]}
    assert set(figures) == {"front", "convergence", "feasibility"}
    default = next(t for t in figures["front"]["data"] if t.get("name") == "default")
    assert [default["x"][0], default["y"][0]] == study["trials"][0]["values"]
    crashed = next(t for t in figures["feasibility"]["data"] if t.get("name") == "crashed")
    assert len(crashed["x"]) == 1
    assert "role:" not in json.dumps(figures)
    page.locator("a[href$='/studies/1']").first.click()
    for figure in figures.values():
        page.locator(".gtitle", has_text=figure["layout"]["title"]["text"]).wait_for()


def test_files_can_be_fetched_and_are_their_owners_alone(
    folder: Path, shown: Dashboard, study: dict[str, Any]
) -> None:
    files = {a["filename"]: a["artifact_id"] for a in study["artifacts"]}
    assert {"report.html", "best.yaml", "result.json", "trials.csv"} <= set(files)
    for name, identity in files.items():
        saved = shown.get(f"/artifacts/{study['study_id']}/{identity}")
        assert saved == (folder / "out" / name).read_bytes()
    crashed = study["trials"][1]
    (log,) = crashed["artifacts"]
    path = f"/artifacts/{study['study_id']}/{crashed['trial_id']}/{log['artifact_id']}"
    assert SAID.replace("hush-hush-99", "***") in shown.get(path).decode()
    artifacts = [Path(entry) for entry in (folder / "out" / "artifacts").iterdir()]
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in artifacts} == {0o600}
    assert not [path for path in artifacts if b"hush" in path.read_bytes()]
