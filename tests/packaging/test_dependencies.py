"""What the packages import is what pyproject.toml declares, and the other way round."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PACKAGES = ("objectives", "optuna_scoot")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEBO_SERVER = ROOT / "optuna_scoot/comparison/development/hebo_server.py"
"""Run by a Python that has HEBO and not this package; see its own list of what it needs."""

NEVER_IMPORTED = {
    "optuna-dashboard",  # a command of its own, for a user's eyes
    "protobuf",  # imported by Optuna, with grpcio
    "psycopg",  # imported by SQLAlchemy, by the URL of a storage
    "vllm",  # run in a process of its own
}


@cache
def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {_normalised(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in requirements}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required() -> set[str]:
    return _names(_project()["dependencies"])


def _optional() -> set[str]:
    """What the extras for users bring; the extra for development is none of them."""
    extras = _project()["optional-dependencies"]
    assert isinstance(extras, dict)
    return {name for extra, names in extras.items() if extra != "dev" for name in _names(names)}


@cache
def _distributions() -> dict[str, list[str]]:
    return {module: list(names) for module, names in packages_distributions().items()}


def _imports(tree: ast.AST, *, lazy: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the outermost name of each import, and whether it waits for a call."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], lazy
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        yield from _imports(node, lazy=lazy or deferred)


def _third_party(path: Path) -> list[tuple[str, bool]]:
    """Return the distribution of each third-party import, and whether it is lazy."""
    found = []
    for module, lazy in _imports(ast.parse(path.read_text())):
        if module in sys.stdlib_module_names or module in PACKAGES:
            continue
        names = {_normalised(name) for name in _distributions().get(module, [module])}
        declared = names & (_required() | _optional())
        found.append((min(declared or names), lazy))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_import_is_declared(path: Path) -> None:
    if path == HEBO_SERVER:
        return
    for name, lazy in _third_party(path):
        assert name in _required() | _optional(), f"{name} is not declared"
        assert name in _required() or lazy, f"{name} belongs to an extra: import it when needed"


def test_each_dependency_is_imported() -> None:
    imported = {name for path in MODULES if path != HEBO_SERVER for name, _ in _third_party(path)}
    assert (_required() | _optional()) - imported == NEVER_IMPORTED
