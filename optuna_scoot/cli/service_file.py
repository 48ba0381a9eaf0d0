"""A YAML file of services instead of options: ``optuna-scoot tune --file services.yaml``.

Its keys are the options of ``tune``, so that there is no second list of them. What stands at the
top holds for all services, what stands in a service goes before it, and the command line before
both.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import click
import yaml

from optuna_scoot.cli.errors import BadInput


SERVICES = "services"
# Options that the command line alone has.
NOT_IN_FILE = frozenset({"file", "as_json", "help"})
# Options of NAME=VALUE, which are mappings in a file.
MAPPINGS = frozenset({"engine_args", "params", "baseline"})
LISTS_OF_MAPPINGS = frozenset({"enqueue"})


@dataclass(frozen=True)
class Service:
    """One service of a file.

    Attributes:
        name: As in the file; None where the file is of one service alone.
        options: Values by the names of the command's parameters, as click takes them.
    """

    name: str | None
    options: Mapping[str, Any] = field(repr=False)


def keys_of(command: click.Command) -> dict[str, click.Parameter]:
    """Return the keys that a file may have, each with the option of a command that it sets."""
    return {
        spelling.removeprefix("--"): parameter
        for parameter in command.params
        if parameter.name not in NOT_IN_FILE
        for spelling in parameter.opts
    }


def read_services(path: Path, command: click.Command) -> list[Service]:
    """Read a file of services.

    Args:
        path: Of the file.
        command: Whose options the file's keys are.

    Raises:
        BadInput: The file cannot be read, or something in it is wrong; says in which line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise BadInput(f"--file {path}: {why}") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f":{mark.line + 1}"
        raise BadInput(f"{path}{where}: it is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise BadInput(f"{path}: it is not YAML") from None
    return _Reader(path, command).services(root)


class _Reader:
    """Reads the nodes of one file.

    Args:
        path: Of the file, for messages.
        command: Whose options its keys are.
    """

    def __init__(self, path: Path, command: click.Command) -> None:
        self._path = path
        self._keys = keys_of(command)
        self._context = click.Context(command)

    def services(self, root: yaml.Node | None) -> list[Service]:
        """Return the services of a whole file."""
        if root is None:
            raise BadInput(f"{self._path}: the file is empty")
        if not isinstance(root, yaml.MappingNode):
            raise self._error(root, "write one 'option: value' a line")
        top = dict(self._entries(root))
        found = top.pop(SERVICES, None)
        shared = self._options(top)
        if found is None:
            return [Service(None, shared)]
        if not isinstance(found, yaml.MappingNode) or not found.value:
            raise self._error(found, f"{SERVICES}: write 'name:' for each, and its options below")
        services = []
        for name, node in self._entries(found):
            if not isinstance(node, yaml.MappingNode):
                raise self._error(node, f"{SERVICES}: {name}: write its options below it")
            own = self._options(dict(self._entries(node)))
            services.append(Service(name, {"study": name, **shared, **own}))
        self._check_apart(found, services)
        return services

    def _check_apart(self, node: yaml.Node, services: list[Service]) -> None:
        """Refuse services that would write into the same study or folder."""
        for what in ("study", "output"):
            values = [str(s.options[what]) for s in services if what in s.options]
            if twice := sorted({v for v in values if values.count(v) > 1}):
                raise self._error(
                    node, f"{SERVICES}: several have the {what} {twice[0]}: give each its own"
                )

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
        """Yield the keys and values of a mapping, none of which may be there twice."""
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key is one word")
            if key.value in seen:
                raise self._error(key, f"{key.value}: it is in line {seen[key.value]} already")
            seen[key.value] = key.start_mark.line + 1
            yield key.value, value

    def _options(self, entries: Mapping[str, yaml.Node]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for key, node in entries.items():
            parameter = self._keys.get(key)
            if parameter is None or parameter.name is None:
                nearest = difflib.get_close_matches(key, [*self._keys, SERVICES], n=1)
                meant = f"; did you mean {nearest[0]}?" if nearest else ""
                raise self._error(node, f"there is no option {key}{meant}")
            value = self._value(key, parameter, node)
            if parameter.name in options and isinstance(value, list):  # under another spelling
                value = [*options[parameter.name], *value]
            try:
                parameter.process_value(self._context, value)
            except click.BadParameter as error:
                raise self._error(node, f"{key}: {error.message}") from None
            options[parameter.name] = value
        return options

    def _value(self, key: str, parameter: click.Parameter, node: yaml.Node) -> Any:
        """Return a value in the words of the command line."""
        if isinstance(parameter, click.Option) and parameter.is_flag:
            if node.tag != "tag:yaml.org,2002:bool":
                raise self._error(node, f"{key}: write true or false")
            return self._text(key, node) == "true"
        if isinstance(node, yaml.MappingNode) and parameter.name in MAPPINGS:
            words = list(self._pairs(key, node, ""))
            return words if parameter.multiple else ",".join(words)
        if not parameter.multiple:
            return self._text(key, node)
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return [self._item(key, parameter, item) for item in items]

    def _item(self, key: str, parameter: click.Parameter, node: yaml.Node) -> str:
        if isinstance(node, yaml.MappingNode) and parameter.name in LISTS_OF_MAPPINGS:
            return ",".join(self._pairs(key, node, ""))
        return self._text(key, node)

    def _pairs(self, key: str, node: yaml.MappingNode, prefix: str) -> Iterator[str]:
        """Yield ``name=value`` for each entry, and ``name.key=value`` for those within one."""
        for name, value in self._entries(node):
            whole = f"{prefix}{name}"
            if isinstance(value, yaml.MappingNode):
                yield from self._pairs(key, value, f"{whole}.")
            elif isinstance(value, yaml.SequenceNode):
                texts = [self._text(f"{key}: {whole}", item) for item in value.value]
                # A parameter's values stand together; an argument that takes several is repeated.
                if key == "param":
                    yield f"{whole}={','.join(texts)}"
                else:
                    yield from (f"{whole}={text}" for text in texts)
            elif value.tag == "tag:yaml.org,2002:null":
                yield whole
            else:
                yield f"{whole}={self._text(f'{key}: {whole}', value)}"

    def _text(self, key: str, node: yaml.Node) -> str:
        """Return a plain value as the command line has it."""
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, f"{key}: one value is wanted")
        if node.tag == "tag:yaml.org,2002:null":
            raise self._error(node, f"{key}: nothing is given")
        if node.tag == "tag:yaml.org,2002:bool":
            return str(yaml.safe_load(node.value)).lower()
        return re.sub(r"\$\{(\w*)\}", self._variable(key, node), node.value)

    def _variable(self, key: str, node: yaml.Node) -> Callable[[re.Match[str]], str]:
        def value(found: re.Match[str]) -> str:
            if found[1] not in os.environ:
                raise self._error(node, f"{key}: the environment has no variable {found[1]}")
            return os.environ[found[1]]

        return value

    def _error(self, node: yaml.Node, message: str) -> BadInput:
        return BadInput(f"{self._path}:{node.start_mark.line + 1}: {message}")
