"""The JSON Schema of a file of services, made of the options themselves.

python -m optuna_scoot.cli.service_schema > docs/service.schema.json
"""

from __future__ import annotations

import json
from typing import Any

import click

from optuna_scoot.cli.declared_options import options_of_tune
from optuna_scoot.cli.service_file import LISTS_OF_MAPPINGS
from optuna_scoot.cli.service_file import MAPPINGS
from optuna_scoot.cli.service_file import SERVICES
from optuna_scoot.cli.service_file import keys_of


# A reference to an environment variable may stand for any value.
_VARIABLE = {"type": "string", "pattern": r"\$\{\w+\}"}
_SCALAR = {"type": ["string", "number", "boolean"]}


def service_schema(command: click.Command) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file of a command's options."""
    options = {key: _of(parameter) for key, parameter in keys_of(command).items()}
    services = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/service"},
        "description": "Services by name, run one after another; each has the options of the"
        " whole file, but for what it says itself.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Services for optuna-scoot tune --file",
        "type": "object",
        "minProperties": 1,
        "properties": {**options, SERVICES: services},
        "additionalProperties": False,
        "$defs": {
            "service": {
                "type": "object",
                "properties": {key: {"$ref": f"#/properties/{key}"} for key in options},
                "additionalProperties": False,
            }
        },
    }


def _of(parameter: click.Parameter) -> dict[str, Any]:
    """Return the schema of one option's values."""
    help_text = getattr(parameter, "help", None)
    described = {} if help_text is None else {"description": " ".join(help_text.split())}
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return {"type": "boolean", **described}
    one = _scalar(parameter.type)
    if parameter.name in LISTS_OF_MAPPINGS:
        one = {"anyOf": [_SCALAR, {"type": "object"}]}
    if not parameter.multiple:
        mapping = [{"type": "object"}] if parameter.name in MAPPINGS else []
        return {"anyOf": [one, _VARIABLE, *mapping], **described}
    several = [one, _VARIABLE, {"type": "array", "items": one}]
    if parameter.name in MAPPINGS:
        several.append({"type": "object"})
    return {"anyOf": several, **described}


def _scalar(kind: Any) -> dict[str, Any]:
    match kind:
        case click.Choice(choices=choices):
            return {"enum": list(choices)}
        case click.IntRange(min=low, max=high):
            bounds = {"minimum": low, "maximum": high}
            return {"type": "integer", **{k: v for k, v in bounds.items() if v is not None}}
        case click.types.IntParamType():
            return {"type": "integer"}
        case click.types.FloatParamType():
            return {"type": "number"}
    return dict(_SCALAR)


if __name__ == "__main__":
    print(json.dumps(service_schema(options_of_tune()), indent=2))
