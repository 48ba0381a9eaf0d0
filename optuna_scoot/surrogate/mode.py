"""The posterior mode of the kernel's hyper-parameters, found by BoTorch and GPyTorch.

The mode is that of the paper's kernel alone, without main effects.

The inputs are warped by the Kumaraswamy distribution function (Snoek et al., ICML 2014). All
outputs are fitted in one batch.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from optuna_scoot.space.one_hot import OneHot
from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import Priors
from optuna_scoot.threads import single_thread


def find_mode(
    x: np.ndarray,
    y: np.ndarray,
    is_level: np.ndarray,
    priors: Priors,
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
) -> Hyperparameters | None:
    """Search the posterior mode.

    Args:
        x: Features in [0, 1], shape (n, f), n ≥ 2.
        y: Standardised outputs, shape (n, m).
        is_level: Which features are levels of a categorical, Booleans (f,); they are not warped.
        priors: Of the hyper-parameters.
        max_iterations: Of L-BFGS-B.
        tolerance: Relative gain of one iteration below which the search ends.

    Returns:
        The hyper-parameters, on inputs as they are where the search with warping fails
        numerically; None where every try fails.
    """
    from botorch.exceptions.errors import ModelFittingError
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from linear_operator.utils.errors import NanError
    from linear_operator.utils.errors import NotPSDError

    options = _search_options(max_iterations, tolerance, y.shape[1])
    for warp in [False] if is_level.all() else [True, False]:
        model = _model(x, y, is_level, warp, priors)
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        mll.train()
        try:
            with single_thread(), warnings.catch_warnings():
                # Reaching the iteration limit is the normal end here, not a failure.
                warnings.simplefilter("ignore")
                fit_gpytorch_mll_scipy(mll, options=options)
        except (NotPSDError, NanError, ModelFittingError, RuntimeError, ValueError):
            continue
        found = _hyperparameters(model, ~is_level, warp)
        if all(np.all(np.isfinite(value)) for value in vars(found).values()):
            return found
    return None


def _search_options(max_iterations: int, tolerance: float, n_outputs: int) -> dict[str, Any]:
    options: dict[str, Any] = {"maxiter": max_iterations, "ftol": tolerance}
    if n_outputs > 1:
        # BoTorch's batched search has a default of its own for the same criterion.
        options["factr"] = None
    return options


def _model(
    x: np.ndarray,
    y: np.ndarray,
    is_level: np.ndarray,
    warp: bool,
    priors: Priors,
) -> Any:
    """Return the batch of m GPyTorch models, all on the same inputs, levels as columns."""
    import torch
    from botorch.models import SingleTaskGP
    from gpytorch.means import ZeroMean

    m = y.shape[1]
    one_hot = OneHot(x, is_level)
    x, owners = one_hot(x), one_hot.owners
    return SingleTaskGP(
        torch.from_numpy(x).double().expand(m, *x.shape).contiguous(),
        torch.from_numpy(y.T.copy()).double().unsqueeze(-1),
        likelihood=_likelihood(m, priors),
        covar_module=_kernel(m, owners, priors.lengthscale_medians(is_level), priors),
        # The observations crowd where values are good: a fitted mean would be the level of the
        # few bad ones far away, and all that is unknown would look as bad as they.
        mean_module=ZeroMean(batch_shape=torch.Size([m])),
        input_transform=_warp(m, ~is_level[owners]) if warp else None,
        outcome_transform=None,
    )


def _kernel(m: int, owners: np.ndarray, medians: np.ndarray, priors: Priors) -> Any:
    """Return the kernel on columns whose length scales are those of their features."""
    import torch
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import MaternKernel
    from gpytorch.kernels import ScaleKernel
    from gpytorch.priors import LogNormalPrior

    class Matern(MaternKernel):  # type: ignore[misc]
        def forward(self, x1: Any, x2: Any, diag: bool = False, **_: object) -> Any:
            scales = self.lengthscale[..., owners]
            r = math.sqrt(3.0) * self.covar_dist(x1 / scales, x2 / scales, diag=diag)
            return (1.0 + r) * torch.exp(-r)

    batch = torch.Size([m])
    spread = torch.full((len(medians),), priors.lengthscale_spread, dtype=torch.double)
    return ScaleKernel(
        Matern(
            nu=1.5,
            ard_num_dims=len(medians),
            batch_shape=batch,
            lengthscale_prior=LogNormalPrior(torch.from_numpy(np.log(medians)), spread),
            lengthscale_constraint=GreaterThan(0.025, initial_value=torch.from_numpy(medians)),
        ),
        batch_shape=batch,
        outputscale_prior=LogNormalPrior(*priors.outputscale),
        outputscale_constraint=GreaterThan(1e-3, initial_value=1.0),
    )


def _likelihood(m: int, priors: Priors) -> Any:
    import torch
    from gpytorch.constraints import GreaterThan
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.priors import LogNormalPrior

    return GaussianLikelihood(
        noise_prior=LogNormalPrior(*priors.noise),
        noise_constraint=GreaterThan(1e-6, initial_value=1e-2),
        batch_shape=torch.Size([m]),
    )


def _warp(m: int, warped: np.ndarray) -> Any:
    import torch
    from botorch.models.transforms import Warp
    from gpytorch.priors import LogNormalPrior

    concentration = LogNormalPrior(0.0, math.sqrt(0.75))
    return Warp(
        d=len(warped),
        indices=np.flatnonzero(warped).tolist(),
        batch_shape=torch.Size([m]),
        bounds=torch.stack([torch.zeros(len(warped)), torch.ones(len(warped))]).double(),
        concentration0_prior=concentration,
        concentration1_prior=concentration,
    )


def _hyperparameters(model: Any, warpable: np.ndarray, warp: bool) -> Hyperparameters:
    def array(tensor: Any) -> np.ndarray:
        return np.asarray(tensor.detach().double().numpy())

    m, f = model.covar_module.base_kernel.lengthscale.shape[0], len(warpable)
    a, b = np.ones((m, f)), np.ones((m, f))
    if warp:
        # BoTorch's concentration1 is the inner exponent.
        a[:, warpable] = array(model.input_transform.concentration1).reshape(m, -1)
        b[:, warpable] = array(model.input_transform.concentration0).reshape(m, -1)
    return Hyperparameters(
        lengthscales=array(model.covar_module.base_kernel.lengthscale).reshape(m, f),
        outputscale=array(model.covar_module.outputscale).reshape(m),
        noise=array(model.likelihood.noise).reshape(m),
        warp_a=a,
        warp_b=b,
        main_share=np.zeros(m),
    )
