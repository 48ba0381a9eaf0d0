"""The picture in docs/architecture.md against the imports, and the paper against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("optuna_scoot", "objectives")


@cache
def _modules() -> dict[str, Path]:
    """Return every module of both packages by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def _rooms() -> dict[str, list[str]]:
    """Return the rooms of the table, each with the modules that it names."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|", PAGE, flags=re.MULTILINE)
    return {name: re.findall(r"`([\w.]+)`", modules) for name, modules in rows}


def _room_of(module: str) -> str:
    """Return the room whose entry fits a module best."""
    fits = [
        (len(entry), room)
        for room, entries in _rooms().items()
        for entry in entries
        if module == entry or module.startswith(f"{entry}.")
    ]
    assert fits, f"{module} is in no room of docs/architecture.md"
    return max(fits)[1]


def _imports(module: str) -> Iterator[str]:
    """Yield the modules of ours that a module imports, wherever in it and for whatever."""
    for node in ast.walk(ast.parse(_modules()[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            for found in (name, name.rpartition(".")[0]):
                if found in _modules():
                    yield found
                    break


@cache
def _used() -> dict[tuple[str, str], str]:
    """Return which room imports which, with a module of the first that does."""
    used: dict[tuple[str, str], str] = {}
    for module in _modules():
        for imported in _imports(module):
            pair = (_room_of(module), _room_of(imported))
            if pair[0] != pair[1]:
                used.setdefault(pair, f"{module} imports {imported}")
    return used


@cache
def _arrows() -> set[tuple[str, str]]:
    """Return the arrows of the picture, from a room to one that it may import."""
    picture = re.search(r"```mermaid\n(.+?)```", PAGE, flags=re.DOTALL)
    assert picture is not None
    labels = dict(re.findall(r'^ *(\w+)\["(.+?)"\]', picture[1], flags=re.MULTILINE))
    arrows = re.findall(r"^ *(\w+) --> ([\w &]+)$", picture[1], flags=re.MULTILINE)
    return {
        (labels.get(a, a), labels.get(b, b)) for a, targets in arrows for b in targets.split(" & ")
    }


def _below(room: str) -> set[str]:
    direct = {b for a, b in _arrows() if a == room}
    return direct.union(*(_below(b) for b in direct))


def test_picture_and_table_have_the_same_rooms() -> None:
    assert {room for arrow in _arrows() for room in arrow} == set(_rooms())


def test_no_arrow_leads_back() -> None:
    # A circle would make this recursion endless.
    assert all(room not in _below(room) for room in _rooms())


def test_no_modules_import_each_other_in_a_circle() -> None:
    # Raises CycleError, which names the modules.
    TopologicalSorter({module: set(_imports(module)) for module in _modules()}).prepare()


def test_every_import_follows_the_arrows() -> None:
    wrong = {line for (a, b), line in _used().items() if b not in _below(a)}

    assert wrong == set()


def test_every_arrow_is_an_import() -> None:
    assert _arrows() - _used().keys() == set()


def test_every_module_that_the_table_names_is_there() -> None:
    named = {entry for entries in _rooms().values() for entry in entries}

    assert named - _modules().keys() == set()


def test_arrays_stay_apart_from_optuna() -> None:
    """Of the sampler only the rooms of trials and of distributions know Optuna."""
    above = {"tuning", "page", "dashboard", "comparison", "command"}
    knowing = {
        _room_of(module)
        for module, path in _modules().items()
        if module.startswith("optuna_scoot")
        and re.search(r"^ *(import|from) optuna\b", path.read_text(), flags=re.MULTILINE)
    }

    assert knowing - above == {"sampler", "trials", "space", "constraints"}


def _cited() -> set[str]:
    """Return the sections, equations, figures and algorithms that the code cites."""
    text = " ".join(path.read_text() for path in _modules().values())
    cited = set(re.findall(r"\bI?V-[A-H]\d?\b|\bsection III\b|\balgorithm 1\b|\bfigure 3\b", text))
    for first, word, last in re.findall(r"eq\. (\d+)(?: (and|to) (\d+))?", text):
        numbers = range(int(first), int(last) + 1) if word == "to" else {first, last} - {""}
        cited |= {f"eq. {number}" for number in numbers}
    return cited


@pytest.mark.parametrize(
    "what",
    [
        *(f"eq. {number}" for number in range(1, 12)),
        *("section III", "algorithm 1", "figure 3"),
        *(f"IV-{section}" for section in ("A", "B", "C", "D1", "D2")),
        *(f"IV-{section}" for section in ("E1", "E2", "E3", "F", "G", "H")),
    ],
)
def test_what_the_paper_says_is_found_by_its_number(what: str) -> None:
    assert what in _cited()
