"""What ``vllm serve --config`` reads: a configuration of a study as YAML, its overrides alone.

What that takes besides the parameters is stored with the study, so that any of its trials can be
written later, wherever its storage is reached.
"""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import yaml

from objectives.engines.command import option
from objectives.engines.command import options
from objectives.engines.command import spelt
from objectives.engines.server_engine import ServerEngine
from objectives.redaction import without_secrets
from optuna_scoot.tuning.errors import InputError


if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.study import Study

    from optuna_scoot.tuning.task import TuningTask


SERVING = "serving"
"""Study attribute: ``Serving`` as a mapping."""


@dataclass(frozen=True)
class Serving:
    """What an engine is served with besides a trial's parameters.

    Attributes:
        title: Engine and load in words.
        simulated: Whether the figures are of a simulated engine.
        default: What the others are compared with: a value a parameter.
        baseline: Names of the parameters that the user's own flags set in it.
        explicit: Names of those that the engine would not have by itself, or not for certain, such
            as a tensor parallelism of 2: they are always written.
        args: Model and arguments of every trial, without secrets.
        secrets: Names of the arguments that are left out as secrets.
        flags: The options that the engine has, as far as they end or negate a parameter; empty
            where they are not known.
        program: The words that serve a model, up to its name.
    """

    title: str
    simulated: bool
    default: Mapping[str, Any]
    baseline: Sequence[str] = ()
    explicit: Sequence[str] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    flags: Sequence[str] = ()
    program: Sequence[str] = ("vllm", "serve")

    @classmethod
    def of(cls, task: TuningTask) -> Serving:
        """Return what a task's configurations are served with."""
        args = without_secrets(task.serve_args)
        engine, default = task.objective.engine, task.objective.space.default
        own = engine.capabilities.defaults if isinstance(engine, ServerEngine) else default
        explicit = [name for name, value in default.items() if own.get(name) != value]
        named = [hyphenated(name) for name in (*default, *args)]
        spellings = {f"--{negation}{name}" for name in named for negation in ("", "no-")}
        spellings |= {flag[:2] + flag[2:].replace("-", "_") for flag in spellings}
        return cls(
            title=task.title,
            simulated=task.simulated,
            default=dict(default),
            baseline=tuple(task.baseline),
            explicit=tuple(dict.fromkeys([*task.baseline, *explicit])),
            args=args,
            secrets=tuple(name for name in task.serve_args if name not in args),
            flags=tuple(sorted(spellings & task.flags)),
            program=engine.program if isinstance(engine, ServerEngine) else (),
        )

    def store(self, study: Study) -> None:
        """Write it down in a study."""
        study.set_user_attr(SERVING, asdict(self))

    @classmethod
    def load(cls, study: Study) -> Serving:
        """Return what a study's configurations are served with.

        Raises:
            InputError: The study does not tell.
        """
        found = study.user_attrs.get(SERVING)
        if found is None:
            raise InputError(
                f"study {study.study_name!r} does not say what its engine is served with:"
                " `optuna-scoot tune` writes that down in its own studies"
            )
        return cls(**found)

    def yaml(self, params: Mapping[str, Any], heading: Sequence[str]) -> str:
        """Return a configuration: what differs from the default, and what a baseline has set.

        Args:
            params: Its parameters.
            heading: Lines that open the file as comments, before engine and load.

        """
        changed = [k for k, v in params.items() if k not in self.default or self.default[k] != v]
        comments = {
            name: f"{'before' if name in self.baseline else 'the default'}:"
            f" {yaml.safe_dump(_plain(self.default[name])).splitlines()[0]}"
            for name in changed
            if name in self.default
        }
        lines = [*heading, self.title]
        if self.simulated:
            lines.append("The figures behind it are of a simulated engine.")
        lines += [f"left out, for it is a secret: {name}" for name in self.secrets]
        args = dict(self.args)
        if "model" in args and self.program and self.program[-1].startswith("--"):
            args = {self.program[-1].removeprefix("--"): args.pop("model"), **args}
        return _yaml({**args, **self._needed(params)}, lines, self.flags, comments)

    def command(self, params: Mapping[str, Any]) -> list[str]:
        """Return the words that serve a configuration; of a simulated engine the options alone.

        Args:
            params: Its parameters.
        """
        args = {name: value for name, value in self.args.items() if name != "model"}
        given = {name: _plain(value) for name, value in {**args, **self._needed(params)}.items()}
        model = [*self.program, str(self.args.get("model", "MODEL"))]
        known = self.program and not self.simulated
        return [*(model if known else ()), *options(given, self.flags)]

    def _needed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that have to be said."""
        default, explicit = self.default, self.explicit
        return {
            name: value
            for name, value in params.items()
            if name in explicit or name not in default or default[name] != value
        }


def _yaml(
    options: Mapping[str, Any],
    heading: Sequence[str],
    flags: Collection[str],
    comments: Mapping[str, str],
) -> str:
    """Return options with hyphenated names, one a line, under a heading of comments."""
    lines = [f"# {' '.join(line.split())}" for line in heading]
    for name, value in options.items():
        if entry := _entry(_spelt(name, flags), _plain(value), flags):
            lines += yaml.safe_dump(entry, sort_keys=False).splitlines()
            if comment := comments.get(name):
                lines[-1] += f"  # {comment}"
    return "\n".join(lines) + "\n"


def _entry(name: str, value: Any, flags: Collection[str]) -> dict[str, Any]:
    """Return one option. ``vllm serve`` 0.32 drops an entry that is false: its negation holds."""
    if value is None:
        return {}  # left to the engine
    if value is not False or not flags:
        return {name: value}
    return {f"no-{name}": True} if f"--no-{name}" in flags else {}


def _plain(value: Any) -> Any:
    """Return a value as a person writes it: a number that came as text, 1.4000000000000001."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    is_number = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(value) if is_number else value


def _spelt(name: str, flags: Collection[str]) -> str:
    """Return a parameter's name as an engine with these options spells it."""
    return spelt(name, flags).removeprefix("--")


def hyphenated(name: str) -> str:
    """Return a parameter's name as the engine's command line spells it."""
    return option(name).removeprefix("--")
