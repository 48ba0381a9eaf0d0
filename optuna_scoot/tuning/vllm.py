"""A real vLLM as a tuning task."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.tuning.server import server_task


if TYPE_CHECKING:
    from optuna_scoot.tuning.load import Load
    from optuna_scoot.tuning.task import TuningTask


def vllm_task(model: str, load: Load, **arguments: Any) -> TuningTask:
    """Return the task of tuning a vLLM under a load: ``server_task`` with the engine "vllm".

    Args:
        model: Folder or hub name of the model.
        load: What the engine faces in every trial.
        **arguments: As of ``server_task``.

    Raises:
        InputError: Something does not exist, cannot be read, or does not fit together.
    """
    return server_task(model, load, engine="vllm", **arguments)
