"""What is tuned of a server of which nothing is known but the command that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution

from objectives.spaces.server import assemble
from objectives.spaces.space import EngineSpace


if TYPE_CHECKING:
    from objectives.engines.capabilities import EngineCapabilities


def template_space(
    capabilities: EngineCapabilities,
    *,
    n_gpus: int | None = None,
    max_model_len: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
) -> EngineSpace:
    """Return the space of what the user names; arguments as of ``vllm_space``.

    Raises:
        SpaceError: Nothing is named, or not what the server has by itself.
    """
    return assemble("server", capabilities, {}, {}, fixed=fixed, params=params)
