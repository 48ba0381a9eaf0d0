"""The screenshots of docs/dashboard.md: `python -m tests.dashboard_screenshots`.

A simulated study is tuned in a temporary folder and looked at in the real optuna-dashboard.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page

from optuna_scoot.cli.main import run
from tests.browser import chromium
from tests.dashboard import dashboard


DOCS = Path(__file__).parents[1] / "docs"
WIDTH = 1200
TUNE = ["tune", "--engine", "simulated", "--service", "bot-2xa100-13b", "--study", "bot"]
TUNE += ["--slo", "p99 ttft <= 32 s", "--trials", "30", "--seed", "0", "--verify", "5"]


def main() -> None:
    """Tune, look, and replace the files in docs/."""
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/scoot.db"
        run([*TUNE, "--storage", url, "--output", f"{place}/out"])
        with dashboard(url, Path(place) / "out" / "artifacts") as shown, chromium() as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": 1100})
            page.goto(f"{shown.address}/dashboard/studies/1")
            take_figures(page)
            page.locator("a[href$='/note']").first.click()
            page.get_by_role("heading", name="optuna-scoot").wait_for()
            take(page, "dashboard-note.png", 640)
            page.locator("a[href$='/trials']").first.click()
            page.get_by_text("Fail", exact=True).first.click()
            page.get_by_text("Crashed: ").wait_for()
            take(page, "dashboard-trial.png", 780)


def take_figures(page: Page) -> None:
    """Take the part of the study's first page that has its own figures."""
    first = page.locator(".gtitle", has_text="Front and default")
    first.wait_for()
    first.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)  # the panels move as they are drawn
    boxes = [title.bounding_box() for title in page.locator(".gtitle").all()]
    top = min(box["y"] for box in boxes if box is not None)
    page.mouse.move(WIDTH / 2, 400)
    page.mouse.wheel(0, top - 120)
    page.mouse.move(10, 10)  # off the figures, which show their tools under it
    page.wait_for_timeout(500)
    take(page, "dashboard-figures.png", 1070)


def take(page: Page, name: str, height: int) -> None:
    """Write the upper part of what the window shows."""
    page.wait_for_timeout(300)
    page.screenshot(path=DOCS / name, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    print(f"docs/{name}: {(DOCS / name).stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
