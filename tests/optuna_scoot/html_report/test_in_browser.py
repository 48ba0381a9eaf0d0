"""The page in a real Chromium: nothing is loaded, nothing is missing, nothing breaks out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import optuna
import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page

from optuna_scoot.cli.main import run
from tests.browser import chromium
from tests.optuna_scoot.html_report.pages import HOSTILE
from tests.optuna_scoot.html_report.pages import hostile_study
from tests.optuna_scoot.html_report.pages import server_study
from tests.optuna_scoot.html_report.pages import write
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import two_objective_study


GOOD = "max_num_seqs=249,max_num_batched_tokens=249,block_size=32,enable_chunked_prefill=true"
TUNE = [
    *("tune", "--engine", "simulated", "--service", "bot-2xa100-13b", "--sampler", "random"),
    *("--seed", "4", "--trials", "8", "--enqueue", GOOD, "--verify", "3", "--finalists", "2"),
    *("--storage", "sqlite:///scoot.db", "--output", "out"),
]
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true; })"
Open = Callable[[Path], Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """What pages asked of a network, said to the console, or let run as a script."""
    return []


@pytest.fixture(autouse=True)
def nobody_complained(complaints: list[str]) -> Iterator[None]:
    yield
    assert complaints == []


@pytest.fixture(scope="module")
def open_page(browser: Browser, complaints: list[str]) -> Iterator[Open]:
    contexts = []

    def opened(path: Path) -> Page:
        permissions = ["clipboard-read", "clipboard-write"]
        context = browser.new_context(permissions=permissions, color_scheme="light")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        complaints.remove(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def tuned(folder: Path, open_page: Open) -> Page:
    """The page that ``tune`` writes at its end."""
    before = optuna.logging.get_verbosity()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("OPTUNA_SCOOT_STORAGE", raising=False)
        assert run(TUNE) == 0
    optuna.logging.set_verbosity(before)
    return open_page(folder / "out" / "report.html")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, open_page: Open) -> Page:
    """The page of a study whose texts all try to be more than texts."""
    folder = tmp_path_factory.mktemp("hostile")
    return open_page(write(hostile_study(), folder))


def headings(page: Page) -> list[str]:
    return page.locator("h2").all_inner_texts()


def assert_drawn(page: Page, names: list[str]) -> None:
    for name in names:
        marks = page.locator(f"#plot-{name} .trace path, #plot-{name} .hm image")
        marks.first.wait_for(state="attached")


def test_a_tuned_study_has_all_of_its_sections_and_plots(tuned: Page) -> None:
    assert headings(tuned) == [
        "Answer",
        "Measured again",
        "Front against the default",
        "Convergence",
        "Which parameters matter",
        "What crashed, and why",
        "Where configurations run",
        "Where the time went",
        "The load",
        "Trials",
        "To repeat it",
    ]
    assert tuned.locator(".simulated").inner_text().startswith("SIMULATED.")
    names = tuned.locator("[data-figure]").evaluate_all("all => all.map(e => e.dataset.figure)")
    assert " ".join(names) == "verdict front convergence feasibility time lengths arrivals"
    assert_drawn(tuned, names)


def test_the_page_says_what_the_study_holds(tuned: Page, folder: Path) -> None:
    name = "simulated-bot-2xa100-13b"
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/scoot.db")
    assert tuned.locator(".sentence").inner_text() == study.user_attrs["verdict"]["sentence"]
    assert tuned.locator("#repeat ~ pre").inner_text() == f"optuna-scoot {' '.join(TUNE)}"
    tuned.evaluate(OPEN_ALL)
    rows = tuned.locator("#trials ~ details tbody tr")
    assert rows.count() == len(study.trials)
    crashed = [t for t in study.trials if t.state == optuna.trial.TrialState.FAIL]
    assert tuned.locator("#crashes ~ details").count() == len(crashed) > 0


@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_is_wider_than_the_window(tuned: Page, hostile: Page, width: int) -> None:
    for page in (tuned, hostile):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(OPEN_ALL)
        fits = f"every(e => e.clientWidth <= {width})"
        page.wait_for_function(f"() => [...document.querySelectorAll('.main-svg')].{fits}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        wide = "all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
        assert page.locator("p, h1, h2, pre, figure, .canvas").evaluate_all(wide) == 0


def test_plots_follow_the_colour_scheme_while_the_page_is_open(tuned: Page) -> None:
    tick = "getComputedStyle(document.querySelector('#plot-front .xtick text')).fill"
    muted = "getComputedStyle(document.querySelector('figcaption')).color"
    light = tuned.evaluate(tick)
    assert light == tuned.evaluate(muted)
    tuned.emulate_media(color_scheme="dark")
    tuned.wait_for_function(f"() => {tick} !== '{light}'")
    assert tuned.evaluate(tick) == tuned.evaluate(muted)
    tuned.emulate_media(color_scheme="light")


def test_everything_has_a_name_for_those_who_do_not_see_it(tuned: Page) -> None:
    assert tuned.locator("h1").count() == 1
    assert tuned.locator("table:not(:has(> caption))").count() == 0
    assert tuned.locator("th:not([scope])").count() == 0
    for plot in tuned.locator("[data-figure]").all():
        assert plot.get_attribute("role") == "img"
        assert plot.get_attribute("aria-label")
    levels = tuned.locator("h1, h2, h3").evaluate_all("all => all.map(e => +e.tagName[1])")
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_texts_of_a_study_stay_texts(hostile: Page) -> None:
    assert hostile.locator("h1").inner_text() == f"chat {HOSTILE}"
    hostile.evaluate(OPEN_ALL)
    shown = hostile.locator("main").inner_text()
    for told in ("loss", "mode", "reason", "detail", "ERROR", "optuna-scoot tune"):
        assert f"{told} {HOSTILE}" in shown
    assert hostile.locator("img").count() == 0
    hostile.locator("#plot-front .points path.point").last.hover(force=True)
    hostile.locator(".hoverlayer .hovertext").first.wait_for()
    assert hostile.locator(".hoverlayer img, .hoverlayer script").count() == 0


def test_the_end_of_a_log_is_there_when_it_is_wanted(hostile: Page) -> None:
    hostile.evaluate(OPEN_ALL)
    lines = hostile.locator("#crashes ~ details pre").first.inner_text().splitlines()
    assert lines == ["loading", f"ERROR {HOSTILE}"]


def test_the_command_is_copied_as_a_shell_takes_it(tmp_path: Path, open_page: Open) -> None:
    study = two_objective_study()
    default = {"max_num_seqs": 256, "block_size": 16, "enable_chunked_prefill": False}
    args = {"model": "m", "served-model-name": "a name", "max-model-len": 4096, "dtype": "float16"}
    serving = {"title": "vLLM 0.32", "simulated": False, "default": default, "args": args}
    study.set_user_attr("serving", serving)
    add_default(study, (9.0, 9.0))
    add(study, (1.0, 1.0), max_num_seqs=64, block_size=32, enable_chunked_prefill=True)
    page = open_page(write(study, tmp_path))
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {copied}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[:3] == ["vllm", "serve", "m"]
    pairs = dict(pairwise(words))
    assert pairs["--served-model-name"] == "a name"
    assert pairs["--max-num-seqs"] == "64"
    assert page.locator(".simulated").count() == 0


def test_a_study_of_a_users_own_is_shown_as_far_as_it_goes(
    tmp_path: Path, open_page: Open
) -> None:
    page = open_page(write(server_study(), tmp_path))
    assert headings(page) == [
        "Answer",
        "Best",
        "Convergence",
        "Which parameters matter",
        "What crashed, and why",
        "Where configurations run",
        "Trials",
    ]
    assert_drawn(page, ["convergence", "importance", "feasibility"])
    assert "follows threads beyond" in page.locator("#importance ~ p").inner_text()
    learnt = page.locator("#feasibility ~ p").inner_text()
    assert "18 trials that ran and 12 that crashed, over memory and threads" in learnt


def test_a_page_without_plots_is_whole_and_light(tmp_path: Path, open_page: Open) -> None:
    study = two_objective_study()
    for seqs in (256, 64, 32):
        add(study, None, {"crash_reason": "out_of_memory"}, max_num_seqs=seqs)
    path = write(study, tmp_path)
    page = open_page(path)
    assert headings(page) == ["Answer", "What crashed, and why", "Trials"]
    assert "nothing to recommend" in page.locator(".sentence").inner_text()
    assert page.locator("#crashes ~ .scroll tbody td").inner_text() == "3"
    assert path.stat().st_size < 50_000
