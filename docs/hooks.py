"""What MkDocs is told while it builds the site: a page of all options, and links to sources."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click


if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page


ROOT = Path(__file__).parents[1]
OPTIONS_PAGE = "options.md"
_OUTSIDE = re.compile(r"\]\((?:\.\./)+([^)#]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the source to the navigation.

    As ``repo_url`` it would have every reader's browser ask GitHub for figures.
    """
    assert config.nav is not None
    config.nav.append({"Source": repository()})
    return config


def repository() -> str:
    """Return the repository's address from the one place where it stands."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address: str = project["urls"]["Repository"]
    return address


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of all options, made from what the commands declare."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, OPTIONS_PAGE, content=options_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links to files outside of docs/ lead to the repository.

    Raises:
        FileNotFoundError: There is no such file.
    """
    address = repository()

    def absolute(match: re.Match[str]) -> str:
        target = ROOT / match[1]
        if not target.exists():
            raise FileNotFoundError(f"{page.file.src_path}: there is no {match[1]}")
        kind = "tree" if target.is_dir() else "blob"
        return f"]({address}/{kind}/main/{match[1]}{match[2] or ''})"

    return _OUTSIDE.sub(absolute, markdown)


def options_page() -> str:
    """Return a page with every command, argument and option, as ``--help`` tells them."""
    from optuna_scoot.cli.commands import cli

    context = cli.make_context("optuna-scoot", [], resilient_parsing=True)
    parts = [
        "# Every option",
        "As `optuna-scoot COMMAND --help` prints them. What they mean is told in"
        " [the command](tune.md), [traces](traces.md), [metrics](metrics.md), [tables](tables.md)"
        " and [several machines](cluster.md).",
    ]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        parts += _command(name, command)
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"optuna-scoot {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    rows = ["| option | meaning |", "|---|---|"]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            names, meaning = (" ".join(text.split()) for text in record)
            rows.append(f"| `{names}` | {_plain(meaning)} |")
    paragraphs = (command.help or "").split("\n\n")
    return [
        f"## {name}",
        f"    optuna-scoot {name} {usage}",
        *(" ".join(paragraph.split()) for paragraph in paragraphs),
        "\n".join(rows),
    ]


def _plain(meaning: str) -> str:
    """Return a help text in which no word is taken for Markdown or HTML."""
    return re.sub(r"([*_<>|\[\]])", r"\\\1", meaning)
