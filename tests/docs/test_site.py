"""The site of the pages builds without a warning, and what it says of options is so."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from optuna_scoot.cli.commands import cli


ROOT = Path(__file__).parents[2]
OTHERS = {"--config", "--network", "--rm", "--env", "--index-url", "--tensor-parallel-size"}
"""Options of vLLM, Docker and pip that pages name beside ours."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site: links, anchors, the names of the interface and the navigation lead somewhere."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


class Text(HTMLParser):
    """Collects the words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def options() -> set[str]:
    """Every option of every command, as it is typed."""
    context = cli.make_context("optuna-scoot", [], resilient_parsing=True)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    return {
        name
        for command in commands
        if command is not None
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("-")
    }


def test_the_page_of_options_has_them_all(site: Path) -> None:
    words = " ".join(Text((site / "options.html").read_text()).words)
    assert not {name for name in options() if name not in words}


def test_the_interface_is_told_from_its_docstrings(site: Path) -> None:
    page = (site / "api.html").read_text()
    words = " ".join(Text(page).words)
    for name in ("ScootSampler", "vllm_task", "verify", "ServingObjective", "load_trace"):
        assert f"{name}</span>" in page or name in words
    assert "learns from crashed trials" in words
    assert "When there is no such trace" in " ".join(words.split())


@pytest.mark.parametrize("name", ["index", "tutorial", "faq"])
def test_the_options_that_a_page_names_exist(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - OTHERS
    ours = {"--max-num-seqs", "--max-num-batched-tokens"}  # of the engine, in a question
    assert named - ours <= options()


def test_a_site_fetches_nothing_from_elsewhere_to_be_read(site: Path) -> None:
    page = (site / "index.html").read_text()
    fetched = re.findall(r'<(?:script|img)[^>]+src="(https?:[^"]+)"', page)
    fetched += re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)"', page)
    assert fetched == []


def test_pictures_of_terminals_show_the_commands_of_the_tutorial() -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text()
    commands = {" ".join(line.split()) for line in page.replace("\\\n", " ").splitlines()}
    for name in ("tune", "verify"):
        drawn = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text()
        told = " ".join("".join(Text(drawn).words).replace("\xa0", " ").split())
        (command,) = (c for c in commands if c.startswith(f"optuna-scoot {name} "))
        assert "".join(command.split()) in "".join(told.split())


def test_anchors_that_the_readme_names_are_in_the_pages(site: Path) -> None:
    named = re.findall(r"\]\(docs/([\w-]+)\.md#([^)]+)\)", (ROOT / "README.md").read_text())
    assert named
    missing = [
        f"{page}.md#{anchor}"
        for page, anchor in named
        if f'id="{anchor}"' not in (site / f"{page}.html").read_text()
    ]
    assert missing == []
