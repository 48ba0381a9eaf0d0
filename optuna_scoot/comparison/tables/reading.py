"""A measured table read: each configuration with its values, or why it failed, and its cost."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.description import Value
from optuna_scoot.comparison.tables.description import parse_cell
from optuna_scoot.comparison.tables.files import read_text


STATUS_NAMES = ("status", "state")
"""What a column may be called to be taken for the status."""

RAN = frozenset(
    {"ok", "complete", "completed", "correct", "success", "succeeded", "passed", "true", "1"}
)
"""What a status says of a row that ran, in whatever letters."""

UNFINISHED = frozenset({"running", "waiting"})
"""Rows of a study that say nothing yet."""

PARAMETER_PREFIXES = ("param:", "params_")
"""Before the parameters in ``trials.csv``, and in what Optuna's ``trials_dataframe`` gives."""

DEFAULT_COLUMN = "default_configuration"
"""Column of ``trials.csv`` that marks the default configuration."""

MOST_NAMED = 20
"""Columns that are named where one is not there."""

Configuration = tuple[Value, ...]
"""A level of each parameter, in their order."""


@dataclass(frozen=True)
class Outcome:
    """What a configuration came to.

    Attributes:
        values: One value an objective; empty where it failed.
        failure: Why it failed, or None.
        cost: What the trial cost, or None where the table does not say.
    """

    values: tuple[float, ...]
    failure: str | None
    cost: float | None


@dataclass(frozen=True)
class Measurements:
    """Every configuration of a table.

    Attributes:
        parameters: Names of the parameters.
        outcomes: By configuration.
        default: The configuration that the table marks as the default, or None.
        guessed: Whether the parameters are those by their place alone.
    """

    parameters: tuple[str, ...]
    outcomes: Mapping[Configuration, Outcome]
    default: Configuration | None = None
    guessed: bool = False


@cache
def read_table(table: Table) -> Measurements:
    """Read a table.

    Raises:
        CompareError: If a file is damaged, a column is not there, or a cell is not what its
            column holds.
    """
    first, *others = (_read(path, table) for path in table.paths)
    for path, other in zip(table.paths[1:], others, strict=True):
        if other.parameters != first.parameters:
            msg = f"{path} has the parameters {', '.join(other.parameters)}, {table.paths[0]} "
            raise CompareError(msg + f"{', '.join(first.parameters)}: they have to be the same.")
        first = _joined(first, other)
    return first


def _joined(first: Measurements, other: Measurements) -> Measurements:
    """Return what the configurations of both tables came to."""
    outcomes = {}
    for configuration, one in first.outcomes.items():
        two = other.outcomes.get(configuration)
        if two is None:
            continue
        cost = None if one.cost is None or two.cost is None else one.cost + two.cost
        failure = one.failure or two.failure
        values = () if failure else (*one.values, *two.values)
        outcomes[configuration] = Outcome(values, failure, cost)
    return Measurements(first.parameters, outcomes, first.default, first.guessed)


@dataclass(frozen=True)
class _Columns:
    """Places of a table's columns."""

    parameters: tuple[int, ...]
    objectives: tuple[int, ...]
    cost: tuple[int, ...]
    status: int | None
    default: int | None


def _read(path: Path, table: Table) -> Measurements:
    """Read one file."""
    header, *rows = _lines(path)
    columns = _columns(path, header, table)
    repeats: dict[Configuration, list[Outcome]] = {}
    default: Configuration | None = None
    for line, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            msg = f"{path}:{line} has {len(row)} cells, the first line {len(header)}."
            raise CompareError(msg)
        status = "" if columns.status is None else row[columns.status].strip()
        if status.lower() in UNFINISHED:
            continue
        configuration = _configuration(f"{path}:{line}", header, row, columns)
        outcome = _outcome(f"{path}:{line}", header, row, columns)
        repeats.setdefault(configuration, []).append(outcome)
        if columns.default is not None and parse_cell(row[columns.default]) is True:
            default = configuration
    if not any(outcome.failure is None for several in repeats.values() for outcome in several):
        raise CompareError(f"{path} has no row that ran{_statuses(header, rows, columns)}.")
    names = [header[index] for index in columns.parameters]
    outcomes = {key: _averaged(several) for key, several in repeats.items()}
    guessed = not table.parameters and not any(map(_is_of_study, names))
    return Measurements(tuple(map(_plain, names)), outcomes, default, guessed)


def _lines(path: Path) -> list[list[str]]:
    """Return the cells of a file's lines, of which the first names the columns."""
    try:
        lines = [*csv.reader(io.StringIO(read_text(path), newline=""))]
    except csv.Error as error:
        raise CompareError(f"{path} is no table: {error}.") from error
    if not lines:
        raise CompareError(f"{path} is empty.")
    return [[name.strip() for name in lines[0]], *lines[1:]]


def _is_of_study(name: str) -> bool:
    return name.startswith(PARAMETER_PREFIXES)


def _plain(name: str) -> str:
    """Return a parameter's name without what a study's file has before it."""
    prefix = next((p for p in PARAMETER_PREFIXES if name.startswith(p)), "")
    return name.removeprefix(prefix)


def _columns(path: Path, header: list[str], table: Table) -> _Columns:
    """Return which column is what."""

    def place(name: str) -> int:
        if header.count(name) > 1:
            raise CompareError(f"{path} has {header.count(name)} columns {name!r}: rename one.")
        if name in header:
            return header.index(name)
        close = difflib.get_close_matches(name, header, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        more = ", ..." if len(header) > MOST_NAMED else ""
        msg = f"{path} has no column {name!r}{meant}; it has {', '.join(header[:MOST_NAMED])}"
        raise CompareError(f"{msg}{more}.")

    objectives = tuple(place(name) for name in (*table.minimize, *table.maximize))
    cost = tuple(place(name) for name in table.cost)
    if table.status is not None:
        status: int | None = place(table.status)
    else:
        named = [i for i, name in enumerate(header) if name.lower() in STATUS_NAMES]
        status = named[0] if named else None
    of_study = [i for i, name in enumerate(header) if _is_of_study(name)]
    if table.parameters:
        parameters = tuple(place(name) for name in table.parameters)
    elif of_study:
        parameters = tuple(of_study)
    else:
        measured = {*objectives, *cost} | ({status} if status is not None else set())
        parameters = tuple(range(min(measured)))
    if not parameters:
        msg = f"{path} has no column left of the measured ones: name its --parameters."
        raise CompareError(msg)
    for index in parameters:
        place(header[index])
    default = header.index(DEFAULT_COLUMN) if of_study and DEFAULT_COLUMN in header else None
    return _Columns(parameters, objectives, cost, status, default)


def _configuration(
    where: str, header: Sequence[str], row: Sequence[str], columns: _Columns
) -> Configuration:
    for index in columns.parameters:
        if not row[index].strip():
            raise CompareError(f"{where} has no value of {header[index]}.")
    return tuple(parse_cell(row[index]) for index in columns.parameters)


def _outcome(where: str, header: Sequence[str], row: Sequence[str], columns: _Columns) -> Outcome:
    cost = None
    if columns.cost:
        costs = [_number(row[index]) for index in columns.cost]
        for index, number in zip(columns.cost, costs, strict=True):
            if number is None or number < 0:
                msg = f"{where} has no {header[index]}: every row needs its cost, "
                raise CompareError(msg + "a failed one too.")
        cost = math.fsum(number for number in costs if number is not None)
    status = None if columns.status is None else row[columns.status].strip()
    if status is not None and status.lower() not in RAN:
        return Outcome((), status or "no status", cost)
    values = []
    for index in columns.objectives:
        number = _number(row[index])
        if number is not None:
            values.append(number)
        elif status is None:
            return Outcome((), row[index].strip() or "no value", cost)
        else:
            msg = f"{where} ran ({status}), but {header[index]} is {row[index]!r}."
            raise CompareError(msg)
    return Outcome(tuple(values), None, cost)


def _number(cell: str) -> float | None:
    """Return a cell as a finite number, or None."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _averaged(repeats: Sequence[Outcome]) -> Outcome:
    """Return the mean of the rows of one configuration that ran; the cost is that of all."""
    if len(repeats) == 1:
        return repeats[0]
    costs = [outcome.cost for outcome in repeats if outcome.cost is not None]
    cost = math.fsum(costs) / len(costs) if costs else None
    ran = [outcome.values for outcome in repeats if outcome.failure is None]
    if not ran:
        return Outcome((), repeats[0].failure, cost)
    means = tuple(math.fsum(column) / len(ran) for column in zip(*ran, strict=True))
    return Outcome(means, None, cost)


def _statuses(header: Sequence[str], rows: Sequence[Sequence[str]], columns: _Columns) -> str:
    """Return what the status says, where a table has one."""
    if columns.status is None:
        return ""
    found = list(dict.fromkeys(row[columns.status] for row in rows if len(row) == len(header)))
    said = ", ".join(repr(status) for status in found[:5])
    return f": its {header[columns.status]} is {said}, where one that ran is 'ok'"
