"""What README and docs tell a reader to type works as it stands there.

Every fenced block of `sh` or `python` is run in a folder of its own, except where the line before
it says `<!-- not run: why -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^>]*? -->\n)?"
    r"^```(?P<language>sh|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*, run: bool) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if (match["mark"] is None) is run:
                line = text.count("\n", 0, match.start("code"))
                name = str(page.relative_to(ROOT))
                found.append(Block(name, line, match["language"], match["code"]))
    return found


@pytest.mark.parametrize("block", blocks(run=True), ids=str)
def test_block_runs_as_it_stands(block: Block, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "traces").symlink_to(ROOT / "traces")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    words = (
        ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*words, block.code],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_blocks_of_both_languages_and_few_exceptions() -> None:
    assert {block.language for block in blocks(run=True)} == {"sh", "python"}
    assert len(blocks(run=False)) <= 9


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing
