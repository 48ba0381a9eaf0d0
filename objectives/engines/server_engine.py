"""What all engines have in common that are servers: started afresh for every trial, and watched.

A kind of engine (``objectives.engines.vllm``, ``sglang``, ``trtllm``, ``template``) says how it is
started, what it takes, and how it tells that it is ready. All else is the same here: a free port,
GPUs of its own, a log, a process group that ends with it, why it ended.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
import uuid
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Self

from objectives import loadgen
from objectives.engines import gpus
from objectives.engines import ports
from objectives.engines import readiness
from objectives.engines.base import LOG
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.capabilities import ask_for_help
from objectives.engines.command import EngineArgumentError
from objectives.engines.command import check_engine_arguments
from objectives.engines.command import interpreter_of
from objectives.engines.command import options_in
from objectives.engines.command import split_secrets
from objectives.engines.command import split_variables
from objectives.engines.containers import container_fault
from objectives.engines.containers import gpu_fault
from objectives.engines.containers import host_path
from objectives.engines.containers import run_options
from objectives.engines.engine_kind import EngineKind
from objectives.engines.environment import inherited
from objectives.engines.failures import read_log
from objectives.engines.gpu_pool import Allotment
from objectives.engines.gpu_pool import GpuPool
from objectives.engines.gpu_pool import gpus_needed
from objectives.engines.gpu_pool import visible_gpus
from objectives.engines.log_tail import LOG_TAIL
from objectives.engines.log_tail import log_tail
from objectives.engines.model_shape import read_shape
from objectives.engines.process import STOPPED_SECONDS
from objectives.engines.process import SupervisedProcess
from objectives.engines.running_server import RunningServer
from objectives.engines.server import EngineServer
from objectives.engines.stated_config import FLAGS
from objectives.engines.stated_config import compare
from objectives.engines.tokenizer import TokenizerSource
from objectives.engines.tokenizer import find_tokenizer
from objectives.engines.tokenizer import is_missing_path
from objectives.engines.tokenizer import tokenizer_needed
from objectives.engines.tokenizer import written_once
from objectives.loadgen import LoadOptions
from objectives.loadgen import Progress
from objectives.prompts import Prompts
from objectives.prompts import count_texts
from objectives.redaction import fits_header
from objectives.redaction import hide
from objectives.redaction import redact
from objectives.redaction import secrets_in
from objectives.traces import Trace
from objectives.workload import Workload


START_ATTEMPTS = 3  # another program may take a port between its choice and its use
PORT_PAUSE_SECONDS = 1.0  # before another attempt, and twice as long before the one after it


@dataclass(frozen=True)
class ServerEngine(EngineKind):
    """A recipe that starts servers, one for every trial.

    Attributes:
        model: Folder or hub name of the model.
        python: Interpreter of the environment that holds the engine.
        command: Instead of ``python``, the words that start the server. Words such as
            ``NAME=value`` before them are variables of its environment. A container needs the
            host's network, and a runtime that passes SIGTERM on, as ``docker run --rm --init
            --network host`` does.
        engine_args: Options for every trial, named with underscores; none that is tuned. Secrets
            among them (``api_key``, ``hf_token``) reach the engine by its environment.
        env: Environment variables for the engine, over this process's own, of which it does not
            inherit those that hold a database's URL or password.
        tokenizer: Where the model's tokenizer is, on this machine or on the hub; by default what
            the engine takes, with its revision and token. A folder of a container is looked for
            where its mounts say.
        log_dir: Folder of the engines' logs, one a start.
        host: Address that the engine binds and is asked on.
        port: Port to use; by default a free one is chosen for every start.
        startup_timeout: Seconds from the start until it can serve.
        grace: Seconds between SIGTERM and SIGKILL when it is stopped.
        hang_timeout: Seconds after which a server hangs that shows no sign of life under load (no
            token, no output, no answer), or, at any time, that somebody has stopped.
        gpu_locks: Folder by which the engines of several processes on this machine share its GPUs:
            each start waits until as many as it needs are free, and sees those alone. Without it
            every engine sees all.
        load: Time limits of the load generator. Its key is the engine's own.
        on_progress: Called a few times a second while a workload runs.

    Raises:
        EngineArgumentError: An engine argument or a command that cannot be used.
    """

    model: str
    python: str | Path | None = None
    command: Sequence[str] | None = field(default=None, repr=False)
    engine_args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokenizer: str | None = None
    log_dir: str | Path = Path("runs") / "engine-logs"
    host: str = "127.0.0.1"
    port: int | None = None
    startup_timeout: float = 600.0
    grace: float = 20.0
    hang_timeout: float = STOPPED_SECONDS
    gpu_locks: str | Path | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    on_progress: Callable[[Progress], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_engine_arguments(self.engine_args, self.reserved)
        split_secrets(self.engine_args)
        if self.key_variable is None and "api_key" in self.engine_args:
            raise EngineArgumentError(
                f"{self.kind} takes its API key in its command line, which every user of the "
                "machine can read: leave it out while tuning, and give it to the service"
            )
        self._check_command()

    def _shape(self) -> dict[str, Any]:
        """Return what the model's own folder tells, where it is on this machine."""
        _, command = self._command()
        path = Path(self.model)
        return read_shape(path if path.exists() else host_path(command, self.model))

    def _from_help_and_model(self, command: list[str]) -> EngineCapabilities:
        """Return what a program's help and the model's folder tell.

        Args:
            command: The words that ``--help`` is put behind.
        """
        told = ask_for_help(command, self._own_environment(), self.kind)
        n_gpus = len(visible_gpus(self.environment(), 0))
        return dataclasses.replace(told, n_devices=n_gpus, **self._shape())

    def with_arguments(self, arguments: Mapping[str, Any]) -> Self:
        """Return the same with other arguments for every trial."""
        return dataclasses.replace(self, engine_args=arguments)

    @property
    def capabilities(self) -> EngineCapabilities:
        """Return what the installed engine is and takes; asked once a process, for some seconds.

        Raises:
            ExternalFailure: It is not installed, or cannot serve this model with these arguments.
        """
        _, command = self._command()
        fault = container_fault(command) if self.shares_network else None
        if fault is not None:
            raise ExternalFailure(ExternalReason.CONTAINER_FAILED, fault)
        # What runs by an interpreter sees this machine's files; a container or a script may not.
        elsewhere = interpreter_of(command) is None and shutil.which(command[0]) is not None
        if not elsewhere and is_missing_path(self.model):
            raise ExternalFailure(
                ExternalReason.NO_SUCH_MODEL, f"there is no model folder {self.model}"
            )
        return self._ask(command)

    @property
    def gpu_pool(self) -> GpuPool | None:
        """Return the GPUs to share with other processes, None where none are shared.

        Raises:
            ExternalFailure: As ``capabilities``; or a container would not be told its GPUs.
        """
        if self.gpu_locks is None:
            return None
        names = visible_gpus(self.environment(), self.capabilities.n_devices)
        if not names:
            return None
        _, command = self._command()
        if (fault := gpu_fault(command)) is not None:
            raise ExternalFailure(ExternalReason.CONTAINER_FAILED, fault)
        return GpuPool(names, Path(self.gpu_locks))

    def check(self, workload: Workload) -> None:
        """Find out what is certain to fail, before any engine is started.

        Args:
            workload: What engines will be asked to serve.

        Raises:
            ExternalFailure: Something is missing or too little; one line says what.
        """
        env = self.environment()
        self._api_key(env)
        ports.check_port(self.host, self.port or ports.choose_port(self.host))
        _, command = self._command()
        self._check_surroundings(command, env)
        if missing := gpus.missing(env):
            raise ExternalFailure(
                ExternalReason.DEVICE_UNFIT,
                f"CUDA_VISIBLE_DEVICES names GPUs that are not there: {', '.join(missing)}",
            )
        self.check_connections(workload)
        _ = self.capabilities
        self.prompts(workload)

    def check_connections(self, workload: Workload) -> None:
        """See that this process may open the connections that a workload may need at once.

        Raises:
            ExternalFailure: It may not.
        """
        try:
            loadgen.check_limits(workload, self.load.request_timeout_s)
        except loadgen.TooFewFiles as error:
            raise ExternalFailure(ExternalReason.OPEN_FILES, str(error)) from error

    def count_texts(self, trace: Trace) -> Trace:
        """Return a trace with its texts counted by the tokenizer; see ``prompts.count_texts``.

        Raises:
            ExternalFailure: The tokenizer cannot be read, and some texts are not counted.
        """
        source = self._tokenizer_source()
        with tokenizer_needed(source.place, self.hide_secrets):
            return count_texts(trace, source.place, revision=source.revision, token=source.token)

    @property
    def description(self) -> str:
        """Return what runs, as in "vLLM 0.32.0"; without the number when it is unknown."""
        version = self.capabilities.version
        return self.kind if version is None else f"{self.kind} {version}"

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the engine, secrets included: never to be shown."""
        return {**self._variables(), **inherited(), **self._own_environment()}

    def _own_environment(self) -> dict[str, str]:
        """Return the variables that the engine gets besides those of this process."""
        variables, _ = self._command()
        _, secrets = split_secrets(self.engine_args)
        return {**variables, **self.env, **secrets}

    def hide_secrets(self, text: str) -> str:
        """Return a text as it may be shown, whoever wrote it."""
        return hide(text, self.secrets())

    def secrets(self) -> frozenset[str]:
        """Return what must not be shown of the engine's environment and command."""
        return secrets_in(self.environment(), self.command or ())

    def prompts(self, workload: Workload) -> Sequence[str]:
        """Return the prompts of a workload, checked once in a process.

        Raises:
            ExternalFailure: The tokenizer cannot be read, or allows no prompts of these lengths.
        """
        return self.written_prompts(workload).texts

    def written_prompts(self, workload: Workload, added: int = 0) -> Prompts:
        """Return the prompts with their lengths; see ``write_prompts``. Raises as ``prompts``."""
        source = self._tokenizer_source()
        with tokenizer_needed(source.place, self.hide_secrets):
            return written_once(workload, source, added)

    def _tokenizer_source(self) -> TokenizerSource:
        """Return where the model's tokenizer is, with what the engine itself takes for it."""
        _, command = self._command()
        own = self._own_environment()
        place = self.engine_args.get(self.tokenizer_argument)
        arguments = {**self.engine_args, "tokenizer": place}
        return find_tokenizer(self.tokenizer, self.model, arguments, command, own)

    def _command(self) -> tuple[dict[str, str], list[str]]:
        """Return variables and words of the command that starts the server."""
        return split_variables(self._whole_command())

    def start(self, params: Mapping[str, Any], label: str) -> RunningServer:
        """Start a server with these parameters and wait until it can serve.

        Args:
            params: Names and values of the trial's parameters; None leaves an option out.
            label: Start of the log file's name: "trial-12".

        Raises:
            EngineCrash: It refused the parameters, ran out of memory, or did not start in time.
            ExternalFailure: It could not start for a reason outside the parameters.
        """
        self._check(params)
        attempts = 1 if self.port is not None else START_ATTEMPTS
        for n in range(attempts - 1):
            try:
                return self._start_once(params, label)
            except ExternalFailure as failure:
                if failure.reason != ExternalReason.PORT_TAKEN:
                    raise
                time.sleep(PORT_PAUSE_SECONDS * 2**n)
        return self._start_once(params, label)

    def _check(self, params: Mapping[str, Any]) -> None:
        if twice := sorted(set(params) & set(self.engine_args)):
            raise ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                f"tuned and fixed at once: {', '.join(twice)}; drop them from the engine's "
                "arguments or from the space",
            )
        if twice := sorted(set(params) & options_in(self.command or ())):
            raise ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                f"tuned and set in the engine's command at once: {', '.join(twice)}; give it as "
                "an engine argument instead (--engine-arg)",
            )
        known = self.capabilities
        if unknown := sorted(p for p in params if known.flags and not known.accepts(p)):
            raise ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                f"{self.description} has no parameter {', '.join(unknown)}: leave it out of the "
                "space (`optuna-scoot space` shows what the engine takes)",
            )

    def _start_once(self, params: Mapping[str, Any], label: str) -> RunningServer:
        gpus_taken = self._take_gpus(params)
        try:
            return self._start_on(gpus_taken, params, label)
        except BaseException:
            gpus_taken.give_back()
            raise

    def _take_gpus(self, params: Mapping[str, Any]) -> Allotment:
        """Wait for the GPUs of one trial.

        Raises:
            ExternalFailure: It needs more than there are.
        """
        if (pool := self.gpu_pool) is None:
            return Allotment()
        needed = gpus_needed(self.capabilities.defaults, self.engine_args, params)
        if needed > len(pool.names):
            raise ExternalFailure(
                ExternalReason.DEVICE_UNFIT,
                f"the engine needs {needed} GPUs, and there are {len(pool.names)}",
            )
        return pool.take(needed)

    def _start_on(
        self, gpus_taken: Allotment, params: Mapping[str, Any], label: str
    ) -> RunningServer:
        env = {**self.environment(), **gpus_taken.variables}
        key = self._api_key(env)
        port = self.port or ports.choose_port(self.host)
        ports.check_port(self.host, port)
        identity = uuid.uuid4().hex[:12]
        address = self._address(port, identity, key)
        log = Path(self.log_dir) / f"{label}-{identity}.log"
        words = self._words(params, address)
        memory = gpus.used_memory_mib(env)
        begin = time.monotonic()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.touch(mode=0o600)  # an engine may print anything
        except OSError as error:
            raise ExternalFailure(
                ExternalReason.FILE_SYSTEM, f"the log {log} cannot be written: {error.strerror}"
            ) from error
        shown = self.hide_secrets(redact(words))
        info = {"engine": self.description, "command": shown, LOG: str(log), **gpus_taken.facts}
        process = SupervisedProcess(
            words,
            env=env,
            log_path=log,
            grace=self.grace,
            stopped_for=self.hang_timeout,
            held=gpus_taken.locks,
            folder_variable=self.sockets_variable,
        )
        server = EngineServer(
            process,
            address,
            log,
            tuple(params),
            env,
            memory,
            self.hide_secrets,
            self.hang_timeout,
            gpus_taken,
            is_here=interpreter_of(words) is not None or run_options(words) is not None,
        )
        try:
            server.wait_until_ready(begin, self.startup_timeout)
        except BaseException as error:  # an interrupt, too, must not leave an engine behind
            taken = getattr(error, "reason", None) == ExternalReason.PORT_TAKEN
            server.stop(wait_for_port=not taken)
            if isinstance(error, EngineCrash | ExternalFailure):
                error.info = {**info, LOG_TAIL: log_tail(log, self.hide_secrets)}
            raise
        address = server.address  # with the model's name, where the server chose it
        startup_s = round(time.monotonic() - begin, 2)
        stated = self._stated(address, read_log(log))
        version = readiness.get_version(address) or stated.get("version")
        if version is not None:
            info["engine"] = f"{self.kind} {version}"
        facts = {**info, "startup_s": startup_s, FLAGS: compare(params, stated)}
        return RunningServer(self, server, facts)

    def _api_key(self, env: Mapping[str, str]) -> str | None:
        """Return the key that the engine wants, None when it wants none.

        Raises:
            ExternalFailure: No HTTP header can carry it.
        """
        key = (env.get(self.key_variable) if self.key_variable else None) or None
        if key is not None and not fits_header(key):
            raise ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                f"the API key ({self.key_variable}) cannot be sent in an HTTP header: it has to"
                " be visible ASCII characters, without a line end or blanks around them",
            )
        return key
