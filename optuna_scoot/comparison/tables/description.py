"""What the columns of a measured table mean: from options, or a YAML file beside the table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.files import read_text


ENDINGS = (".csv.gz", ".csv")

Value = str | int | float | bool
"""A level of a parameter."""


@dataclass(frozen=True)
class Table:
    """One measured table, or several of the same configurations, and what their columns mean.

    Attributes:
        paths: CSV files, compressed ones by the ending ``.gz``. Of several each gives the
            objectives anew, and a configuration fails where it fails in one of them.
        minimize: Columns that are objectives to minimise.
        maximize: Columns that are objectives to maximise.
        status: Column that says whether a row ran; None takes one called status or state.
        parameters: Columns that are parameters; empty takes those left of all others named here.
        categories: Parameters whose numbers have no order.
        cost: Columns whose sum is what a trial cost, also a failed one.
        known_constraints: Expressions over parameters, true where a configuration is allowed.
        default: The default configuration as pairs; empty takes one of median values.
        missing_crashes: Whether a configuration without a row crashes.
        digest: Eight digits that stand for the files' content and for all of the above.
    """

    paths: tuple[Path, ...]
    minimize: tuple[str, ...] = ()
    maximize: tuple[str, ...] = ()
    status: str | None = None
    parameters: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    known_constraints: tuple[str, ...] = ()
    default: tuple[tuple[str, Value], ...] = ()
    missing_crashes: bool = False
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        found = hashlib.sha256()
        for path in self.paths:
            found.update(read_text(path).encode())
        found.update(json.dumps([getattr(self, key) for key in _KEYS]).encode())
        object.__setattr__(self, "digest", found.hexdigest()[:8])

    @property
    def stem(self) -> str:
        """Return the files' names without their endings, as a word."""
        stems = "+".join(_stem(path).name for path in self.paths)
        return re.sub(r"[^\w.+-]", "-", stems)


_LISTS = ("minimize", "maximize", "parameters", "categories", "cost", "known_constraints")
_KEYS = tuple(f.name for f in dataclasses.fields(Table) if f.name not in ("paths", "digest"))


def describe_table(name: str, given: Mapping[str, Any] | None = None) -> Table:
    """Return a table with what its columns mean.

    Args:
        name: A CSV file, or several with ``+`` between them. A file of the same name with the
            ending ``.yaml`` beside the first one says what its columns mean.
        given: Fields of :class:`Table` that are put in place of those of the YAML file; empty
            ones are not.

    Raises:
        CompareError: If a file is not there or damaged, or the YAML file says something else.
    """
    paths = _paths(name)
    fields = _beside(paths[0])
    fields |= {key: value for key, value in (given or {}).items() if value}
    if given and (given.get("minimize") or given.get("maximize")):
        fields |= {key: given.get(key) or () for key in ("minimize", "maximize")}
    table = Table(paths, **fields)
    if not table.minimize and not table.maximize:
        msg = f"{name}: say which column is to be tuned: --minimize COLUMN or --maximize COLUMN."
        raise CompareError(msg)
    return table


def parse_default(text: str) -> tuple[tuple[str, Value], ...]:
    """Return ``"a=1, b=x"`` as pairs.

    Raises:
        CompareError: If it is not such a list.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(name.strip() and sign for name, sign, _ in pairs):
        msg = f"{text!r} is no configuration; write for example block_size=16,unroll=0."
        raise CompareError(msg)
    return tuple((name.strip(), parse_cell(value)) for name, _, value in pairs)


def parse_cell(text: str) -> Value:
    """Return a cell as the whole number, number, or truth that it is, or else as it stands."""
    text = text.strip()
    if text in ("True", "true", "False", "false"):
        return text in ("True", "true")
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def _paths(name: str) -> tuple[Path, ...]:
    parts = [Path(name)] if os.path.isfile(name) else [Path(part) for part in name.split("+")]
    for path in parts:
        if not os.path.isfile(path):
            msg = f"There is no table {str(path)!r}. Built-in problems are named by --problems."
            raise CompareError(msg)
        if not path.name.endswith(ENDINGS):
            msg = f"{path} is no table: its name has to end in .csv or .csv.gz."
            raise CompareError(msg)
    return tuple(parts)


def _stem(path: Path) -> Path:
    ending = next(ending for ending in ENDINGS if path.name.endswith(ending))
    return path.with_name(path.name.removesuffix(ending))


def description_file(path: Path) -> Path:
    """Return the file that describes a table: the table's with the ending ``.yaml``."""
    stem = _stem(path)
    return stem.with_name(f"{stem.name}.yaml")


def _beside(path: Path) -> dict[str, Any]:
    """Return the fields that the YAML file beside a table gives."""
    file = description_file(path)
    if not file.is_file():
        return {}
    try:
        found = yaml.safe_load(read_text(file)) or {}
    except yaml.YAMLError as error:
        raise CompareError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(found, dict) or not set(found) <= set(_KEYS):
        odd = ", ".join(str(key) for key in found if key not in _KEYS)
        said = f"says {odd}" if isinstance(found, dict) else "has no names"
        raise CompareError(f"{file} {said}; it may say {', '.join(_KEYS)}.")
    return {key: _field(file, key, value) for key, value in found.items() if value is not None}


def _field(file: Path, key: str, value: Any) -> Any:
    """Return a field of the YAML file as :class:`Table` has it."""
    if key in _LISTS:
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            return tuple(values)
    elif key == "default":
        levels = value.values() if isinstance(value, dict) else ()
        if levels and all(isinstance(level, (str, int, float)) for level in levels):
            return tuple((str(name), level) for name, level in value.items())
        if isinstance(value, str):
            return parse_default(value)
    elif isinstance(value, bool if key == "missing_crashes" else str):
        return value
    kinds = {
        "default": "names with values",
        "missing_crashes": "true or false",
        "status": "a name",
    }
    raise CompareError(f"{file}: {key} is {kinds.get(key, 'a list of texts')}, not {value!r}.")
