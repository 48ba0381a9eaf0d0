"""Draws the pictures of the pages anew: ``python docs/pictures/make.py [NAME...]``.

Terminals are SVG, of what the commands print on 80 columns; pages are photographed by a headless
Chromium (``pip install playwright``; its path in CHROMIUM, by default /usr/bin/chromium).
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from objectives.trace_tools.imitation import imitate
from objectives.trace_tools.picture import trace_page
from objectives.traces import Trace
from objectives.traces import TraceRequest


FOLDER = Path(__file__).parent
COLUMNS = 80
OPTUNA_SCOOT = [sys.executable, "-m", "optuna_scoot"]
TASK = ["--engine", "simulated", "--service", "sql-2xa10-7b", "--rate", "3", "--duration", "60"]
STUDY = ["--study", "sql", "--output", "sql"]
TUNE = ["tune", *TASK, "--trials", "8", "--seed", "0", *STUDY]


def morning() -> Trace:
    """Return chats of an hour in which more and more people come."""
    rng = np.random.default_rng(7)
    n = 4000
    times = 3600 * np.sort(rng.beta(2.2, 1.3, n)) + np.cumsum(rng.gamma(0.2, 1e-3, n))
    lengths: list[int] = []
    requests = []
    for time in times:
        chat = int(rng.integers(max(0, len(lengths) - 40), len(lengths) + 1))
        if chat == len(lengths):
            lengths.append(300)  # what every chat begins with
        shared = lengths[chat]
        prompt = min(16000, shared + int(rng.lognormal(4.5, 1.0)) + 1)
        answer = min(4000, 1 + int(rng.lognormal(5, 0.8)))
        requests.append(TraceRequest(prompt, answer, float(time), f"chat-{chat}", shared))
        lengths[chat] = min(12000, prompt + answer)
    return Trace("chats", tuple(requests))


def trace_plot() -> None:
    """Draw a trace and its likeness, as ``optuna-scoot trace --synthesise --plot`` does."""
    original = morning()
    photograph(trace_page([original, imitate(original)]), "trace.png", height=920)


def trace_terminal() -> None:
    """Show what ``optuna-scoot trace`` says of a bundled trace."""
    terminal(["trace", "sql"], "trace.svg", FOLDER)


def tune_terminal() -> None:
    """Show the end of a study of a simulated service."""
    with tempfile.TemporaryDirectory() as folder:
        terminal(TUNE, "tune.svg", Path(folder))


def verify_terminal() -> None:
    """Show the verdict on that study."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([*OPTUNA_SCOOT, *TUNE], cwd=folder, check=True)
        terminal(["verify", *TASK, *STUDY, "--orders", "3"], "verify.svg", folder)


def report_page() -> None:
    """Photograph the head of the page of a simulated service's study, with its verdict."""
    words = ["--service", "bot-2xa100-13b", "--verify", "5", "--study", "chat"]
    photograph(_page_of(words), "report.png", height=1100)


def capacity_page() -> None:
    """Photograph the head of the page of what ``make run`` tunes: latency over request rate."""
    words = ["--service", "sql-2xa10-7b", "--study", "text-to-sql", "--maximize", "rate"]
    words += ["--slo", "p99 ttft <= 1 s", "--slo", "mean tpot <= 60 ms"]
    photograph(_page_of(words), "capacity.png", height=1520)


def _page_of(words: list[str]) -> str:
    """Return the page of a study of twenty trials."""
    given = ["tune", "--engine", "simulated", "--trials", "20", "--seed", "0", "--output", "out"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*OPTUNA_SCOOT, *given, *words], cwd=folder, check=True)
        return (Path(folder) / "out" / "report.html").read_text(encoding="utf-8")


def terminal(words: list[str], name: str, folder: Path) -> None:
    """Run a command on a terminal and draw what stands there at its end.

    Args:
        words: After ``optuna-scoot``.
        name: Of the picture.
        folder: Where the command runs.
    """
    shown = "$ optuna-scoot " + " ".join(words)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(Text(shown, "bold"))
    console.print(Text.from_ansi(last_screen(on_terminal([*OPTUNA_SCOOT, *words], folder))))
    drawn = console.export_svg(title="optuna-scoot")
    # The fonts would be fetched from elsewhere: a reader's own will do.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    (FOLDER / name).write_text(re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE))


def on_terminal(words: list[str], folder: Path) -> str:
    """Return all that a command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "24", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            some = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        written += some
    process.wait()
    return written.decode()


def last_screen(written: str) -> str:
    """Return what stays on a terminal: lines that were overwritten are left out."""
    lines: list[str] = []
    for line in written.replace("\r\n", "\n").split("\n"):
        while (up := re.search(r"\x1b\[1A", line)) is not None:
            line = line[: up.start()] + line[up.end() :]
            if lines:
                lines.pop()
        lines.append(line.rpartition("\x1b[2K")[2].rpartition("\r")[2])
    return "\n".join(re.sub(r"\x1b\[\?25[lh]", "", line) for line in lines).rstrip()


def photograph(page: str, name: str, width: int = 1000, height: int = 800) -> None:
    """Write the picture of a page."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto(path.as_uri())
        tab.wait_for_selector(".main-svg")
        tab.screenshot(path=str(FOLDER / name))
        browser.close()


PICTURES: dict[str, Callable[[], None]] = {
    "trace.png": trace_plot,
    "trace.svg": trace_terminal,
    "tune.svg": tune_terminal,
    "verify.svg": verify_terminal,
    "report.png": report_page,
    "capacity.png": capacity_page,
}


if __name__ == "__main__":
    for picture in sys.argv[1:] or PICTURES:
        PICTURES[picture]()
        print(FOLDER / picture)
