"""Parameter names in known constraints: odd ones, and those that no parameter has.

A name that Python would not read as one, ``max-num-seqs`` or ``opt/a`` or ``layer 1``, may always
stand in backticks. Once the parameters are known it is read without them as well: a parameter's
whole name goes before the difference or quotient that it could be.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import re
import unicodedata
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution


_STRING = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_BACKTICKS = r"`(?P<quoted>[^`]+)`"
_OPERATORS = frozenset({"and", "or", "not", "in", "if", "else", "True", "False", "None"})
_MOST_LEVELS = 32  # of a parameter that an objective is thought to branch on


def spellings(text: str, names: Iterable[str]) -> dict[str, str]:
    """Return how a text writes those of the names that Python would not read as one.

    ``max-num-seqs`` stands for ``max_num_seqs`` too, as on a command line, unless it can be a
    difference of parameters.

    Args:
        text: Of an expression.
        names: Of the parameters that are known.

    Returns:
        What is written in the text, and the name that it means; empty for plain names.
    """
    known = set(names)
    found: dict[str, str] = {}
    for name in known:
        if not _is_plain(name) and name not in _OPERATORS and not _is_number(name):
            found[name] = name
    for name in known:
        for other in (name.replace("_", "-"), name.replace("-", "_")):
            if other not in known and not known.issuperset(other.split("-")):
                found.setdefault(other, name)
    return {written: name for written, name in found.items() if written in text}


def readable(text: str, spelt: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return a text with identifiers in the place of odd names.

    Args:
        text: Of an expression; strings in it stay as they are.
        spelt: What :func:`spellings` gives.

    Returns:
        The text that Python's parser can read, and the name that each identifier stands for.
    """
    stem = "name"
    while stem in text:
        stem += "_"
    meant: dict[str, str] = {}

    def identifier(match: re.Match[str]) -> str:
        if match["quoted"] is None and match[0] not in spelt:
            return match[0]
        name = match["quoted"] or spelt[match[0]]
        meant[f"{stem}{len(meant)}"] = name
        return f" {stem}{len(meant) - 1} "

    written = sorted(spelt, key=len, reverse=True)
    pattern = "|".join([_STRING, _BACKTICKS, *(_whole(name) for name in written)])
    return re.sub(pattern, identifier, text).strip(), meant


class Renamed(ast.NodeTransformer):
    """Give identifiers the names that they stand for, and make one name of ``lora.rank``."""

    def __init__(self, meant: Mapping[str, str]) -> None:
        self._meant = meant

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Rename."""
        return ast.copy_location(ast.Name(self._meant.get(node.id, node.id), node.ctx), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Join; what begins with an underscore stays what it is, to be refused."""
        base = self.visit(node.value)
        if isinstance(base, ast.Name) and not node.attr.startswith("_"):
            return ast.copy_location(ast.Name(f"{base.id}.{node.attr}", base.ctx), node)
        return node


def unknown_name(text: str, unknown: Iterable[str], known: Collection[str]) -> str:
    """Return which name is unknown, as it is written, which are known, and the closest one.

    Args:
        text: Of the expression, or the name of a callable.
        unknown: At least one name that no parameter has.
        known: The names of the parameters.
    """
    name = _as_written(text, min(unknown), known)
    # Another number in it is another parameter.
    others = [k for k in known if re.sub(r"\d+", "", k) != re.sub(r"\d+", "", name)]
    close = difflib.get_close_matches(name, others, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return f"{name!r}, which is not in the search space ({', '.join(sorted(known))}){meant}"


def may_branch(
    configurations: Sequence[Mapping[str, Any]], distributions: Mapping[str, BaseDistribution]
) -> bool:
    """Return whether the objective may have parameters that no configuration so far has had.

    An objective branches on categoricals, flags and small integers: as long as one of these has
    a level that was not tried, or the configurations differ in their parameters, another branch
    may be there.

    Args:
        configurations: The parameters of the trials that have finished.
        distributions: Of their parameters.
    """
    names = {frozenset(configuration) for configuration in configurations}
    if len(names) != 1:
        return True
    for name, distribution in distributions.items():
        levels = _n_levels(distribution)
        tried = {repr(c[name]) for c in configurations if name in c}
        if levels <= _MOST_LEVELS and len(tried) < levels:
            return True
    return False


def _n_levels(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    return math.inf


def _whole(name: str) -> str:
    before = r"(?<![\w.])" if re.match(r"\w", name) else ""
    after = r"(?![\w.])" if re.search(r"\w$", name) else ""
    return before + re.escape(name) + after


def _is_plain(name: str) -> bool:
    """Return whether Python reads a name as it is."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and unicodedata.normalize("NFKC", name) == name
    )


def _is_number(name: str) -> bool:
    """Return whether a name could as well be a number, or a sum of numbers."""
    return all(re.fullmatch(r"[\d.]+(e\d*)?|", part) for part in re.split(r"[-+*/% ]", name))


def _as_written(text: str, unknown: str, known: Collection[str]) -> str:
    """Return the name that an unknown part of it belongs to: ``max-seq`` of ``seq``."""
    run = re.search(rf"[\w./-]*(?<!\w){re.escape(unknown)}(?!\w)[\w./-]*", text)
    if run is None:
        return unknown
    parts = [part for part in re.split(r"[./-]", run[0]) if not _is_number(part)]
    return unknown if any(part in known for part in parts) else run[0].strip("-./")
