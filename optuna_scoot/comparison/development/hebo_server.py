"""HEBO for ``hebo_peer``, run in an interpreter of its own: one JSON request a line.

HEBO 0.3 needs NumPy 1 and an old pymoo, so it cannot be installed together with this package.
This file is run as a script by a Python that has HEBO, and imports nothing of this package.

HEBO 0.3.6 works, though its own list of requirements cannot be met together any more, in a Python
3.11 with NumPy 1.26, pymoo 0.6.0, PyTorch, gpytorch, linear_operator, jaxtyping, pandas,
scikit-learn, disjoint-set, and what pymoo imports (cma, alive-progress, autograd, dill,
Deprecated, matplotlib), HEBO and pymoo installed with ``--no-deps``.

The first line is ``{"space": [...], "n_objectives": m, "seed": s}`` in HEBO's own form; each
further one ``{"observe": [[configuration, values], ...]}``, answered by a suggestion.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def serve() -> None:
    """Answer requests until standard input ends."""
    warnings.filterwarnings("ignore")
    import numpy as np
    import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import torch
    from hebo.design_space.design_space import DesignSpace  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from hebo.optimizers.general import GeneralBO  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from hebo.optimizers.hebo import HEBO  # type: ignore[import-not-found,import-untyped,unused-ignore]

    # HEBO prints now and then; standard output is for answers alone.
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(1)
    setup = json.loads(sys.stdin.readline())
    np.random.seed(setup["seed"])  # noqa: NPY002 - HEBO draws from the global generator
    torch.manual_seed(setup["seed"])
    space = DesignSpace().parse(setup["space"])
    optimizer: Any
    if setup["n_objectives"] == 1:
        optimizer = HEBO(space, scramble_seed=setup["seed"])
    else:
        optimizer = GeneralBO(space, num_obj=setup["n_objectives"])
    for line in sys.stdin:
        observations = json.loads(line)["observe"]
        if observations:
            table = pd.DataFrame([params for params, _ in observations])
            optimizer.observe(table, np.array([values for _, values in observations]))
        suggestion = optimizer.suggest(n_suggestions=1).iloc[0].to_dict()
        answers.write(json.dumps({k: _plain(v) for k, v in suggestion.items()}) + "\n")
        answers.flush()


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


if __name__ == "__main__":
    serve()
