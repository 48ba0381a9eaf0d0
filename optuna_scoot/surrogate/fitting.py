"""The kernel's hyper-parameters: their posterior mode, found by BoTorch, and draws around it.

After ten observations of nine parameters many length scales explain the data about equally well.
Their mode takes one of them for the truth; the average over a few draws keeps the doubt. The draws
are normal, with the curvature of the log-posterior at the mode (Laplace's approximation).

All outputs are fitted in one batch. Priors are densities of logarithms, and so is the mode one of
logarithms: it does not depend on units, and lies at the priors' medians where nothing is known.
Inputs may be warped by the Kumaraswamy distribution function (Snoek et al., ICML 2014).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.models import SingleTaskGP
from botorch.models.transforms import Warp
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.kernels import ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ZeroMean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from gpytorch.priors import NormalPrior
from linear_operator.utils.errors import NanError
from linear_operator.utils.errors import NotPSDError

from optuna_scoot.surrogate.kernel import LEAST_NOISE
from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import Priors
from optuna_scoot.threads import single_thread


# Of the log-posterior, where it is next to flat: the priors' alone is 0.4 and more.
_LEAST_CURVATURE = 0.2


def find_hyperparameters(
    x: np.ndarray,
    y: np.ndarray,
    is_level: np.ndarray,
    choice: KernelChoice,
    seed: int = 0,
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
) -> tuple[Hyperparameters, ...]:
    """Search the posterior mode, and draw around it.

    Args:
        x: Features in [0, 1], shape (n, f), n ≥ 2; of a categorical its levels' indices.
        y: Standardised outputs, shape (n, m).
        is_level: Which features are levels of a categorical, Booleans (f,); they are not warped.
        choice: The kernel and its priors, and the number of draws.
        seed: Of the draws.
        max_iterations: Of L-BFGS-B.
        tolerance: Relative gain of one iteration below which the search ends.

    Returns:
        The draws, or the mode alone where none are asked for; on inputs as they are where the
        search with warping fails numerically, and nothing where every try fails.
    """
    options: dict[str, Any] = {"maxiter": max_iterations, "ftol": tolerance}
    if y.shape[1] > 1:
        # BoTorch's batched search has a default of its own for the same criterion.
        options["factr"] = None
    for warped in [True, False] if choice.warped and not is_level.all() else [False]:
        try:
            with single_thread(), warnings.catch_warnings():
                # Reaching the iteration limit is the normal end here, not a failure, and levels
                # are not meant to lie in the unit cube.
                warnings.simplefilter("ignore")
                model = _model(x, y, is_level, choice, warped)
                mll = ExactMarginalLogLikelihood(model.likelihood, model)
                fit_gpytorch_mll_scipy(mll.train(), options=options)
                # The warping's parameters are not logarithms, and no normal draw would do.
                places = _draws(mll, 0 if warped else choice.n_draws, seed)
        except (NotPSDError, NanError, ModelFittingError, RuntimeError, ValueError):
            continue
        found = []
        for place in places:
            _move(mll, place)
            found.append(_hyperparameters(model, ~is_level, warped))
        if all(np.all(np.isfinite(value)) for one in found for value in vars(one).values()):
            return tuple(found)
    return ()


def _draws(mll: ExactMarginalLogLikelihood, n_draws: int, seed: int) -> torch.Tensor:
    """Return draws around the present parameters of m models, shape (n_draws, m, p).

    Without any, the parameters themselves, shape (1, m, p).
    """
    parameters = list(mll.parameters())
    (m,) = mll.model.batch_shape

    def rows(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
        return torch.cat([tensor.reshape(m, -1) for tensor in tensors], dim=1)

    mode = rows(parameters).detach()
    if n_draws == 0:
        return mode[None]
    targets = mll.model.train_targets
    # The models do not depend on each other: the sum's derivatives are those of each.
    loss = -targets.shape[-1] * mll(mll.model(*mll.model.train_inputs), targets).sum()
    gradient = rows(torch.autograd.grad(loss, parameters, create_graph=True))
    hessian = torch.stack(
        [rows(torch.autograd.grad(g.sum(), parameters, retain_graph=True)) for g in gradient.T],
        dim=1,
    )
    curvature, axes = torch.linalg.eigh((hessian + hessian.mT) / 2.0)
    deviation = curvature.clamp(min=_LEAST_CURVATURE).rsqrt()
    normal = np.random.default_rng(seed).normal(size=(n_draws, *mode.shape))
    steps = torch.from_numpy(normal) * deviation
    return torch.add(mode, (axes @ steps[..., None])[..., 0])


def _move(mll: ExactMarginalLogLikelihood, place: torch.Tensor) -> None:
    """Give m models the parameters of ``place``, shape (m, p)."""
    parameters = list(mll.parameters())
    parts = torch.split(place, [parameter[0].numel() for parameter in parameters], dim=1)
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.data = part.reshape(parameter.shape)


class MaternWithMainEffects(Kernel):  # type: ignore[misc]
    """Matérn 3/2 of all features together, and a share of the mean of each feature's own.

    The same in GPyTorch as ``Hyperparameters.covariance`` is in NumPy.

    Args:
        is_level: Which features are levels of a categorical, Booleans of shape (f,).
        priors: Of the length scales and of the main effects' share.
        main_effects: Whether there is such a share; otherwise it is 0.
        batch_shape: One kernel for each output.
    """

    has_lengthscale = True

    def __init__(
        self, is_level: np.ndarray, priors: Priors, main_effects: bool, batch_shape: torch.Size
    ) -> None:
        medians = torch.from_numpy(priors.lengthscale_medians(is_level))
        super().__init__(
            ard_num_dims=len(medians),
            batch_shape=batch_shape,
            lengthscale_constraint=_positive(medians),
        )
        prior = NormalPrior(medians.log(), torch.full_like(medians, priors.lengthscale_spread))
        self.register_prior("log_lengthscale_prior", prior, lambda m: m.lengthscale.log())
        self._is_level = torch.from_numpy(is_level)
        self._main_effects = main_effects
        if main_effects:
            start = torch.full(batch_shape, priors.main_share[0], dtype=torch.double)
            self.register_parameter("share_logit", torch.nn.Parameter(start))
            self.register_prior(
                "share_logit_prior", NormalPrior(*priors.main_share), lambda m: m.share_logit
            )

    @property
    def main_share(self) -> torch.Tensor:
        """Return the main effects' share of each output, shape (m,)."""
        if self._main_effects:
            return torch.sigmoid(self.share_logit)
        return torch.zeros(self.batch_shape, dtype=torch.double)

    def forward(
        self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **_: object
    ) -> torch.Tensor:
        """Return correlations of (..., q, f) and (..., n, f): (..., q, n), or their diagonal."""
        scales, share = self.lengthscale, self.main_share[..., None]
        if not diag:
            x1, x2, scales, share = (
                x1[..., None, :],
                x2[..., None, :, :],
                scales[..., None, :, :],
                share[..., None],
            )
        squared = torch.where(self._is_level, (x1 != x2).double(), (x1 - x2) ** 2) / scales**2
        together = _matern(squared.sum(-1))
        if not self._main_effects:
            return together
        return (1.0 - share) * together + share * _matern(squared).mean(-1)


def _matern(squared: torch.Tensor) -> torch.Tensor:
    # A little more than nothing, where the root has no derivative.
    r = torch.sqrt(3.0 * squared + 1e-18)
    return (1.0 + r) * torch.exp(-r)


def _positive(start: float | torch.Tensor, least: float = 0.0) -> GreaterThan:
    """Return the constraint of a number whose logarithm above ``least`` is searched."""
    return GreaterThan(
        least, transform=torch.exp, inv_transform=torch.log, initial_value=least + start
    )


def _model(
    x: np.ndarray, y: np.ndarray, is_level: np.ndarray, choice: KernelChoice, warped: bool
) -> SingleTaskGP:
    """Return the batch of m GPyTorch models, all on the same inputs."""
    priors, batch = choice.priors, torch.Size([y.shape[1]])
    kernel = ScaleKernel(
        MaternWithMainEffects(is_level, priors, choice.main_effects, batch),
        batch_shape=batch,
        outputscale_constraint=_positive(math.exp(priors.outputscale[0])),
    )
    kernel.register_prior(
        "log_outputscale_prior", NormalPrior(*priors.outputscale), lambda m: m.outputscale.log()
    )
    likelihood = GaussianLikelihood(
        batch_shape=batch, noise_constraint=_positive(math.exp(priors.noise[0]), LEAST_NOISE)
    )
    likelihood.register_prior(
        "log_noise_prior", NormalPrior(*priors.noise), lambda m: m.noise.log()
    )
    return SingleTaskGP(
        torch.from_numpy(x).double().expand(*batch, *x.shape).contiguous(),
        torch.from_numpy(y.T.copy()).double().unsqueeze(-1),
        likelihood=likelihood,
        covar_module=kernel,
        # The observations crowd where values are good: a fitted mean would be the level of the
        # few bad ones far away, and all that is unknown would look as bad as they.
        mean_module=ZeroMean(batch_shape=batch),
        input_transform=_warp(batch, ~is_level) if warped else None,
        outcome_transform=None,
    )


def _warp(batch: torch.Size, warped: np.ndarray) -> Warp:
    concentration = LogNormalPrior(0.0, math.sqrt(0.75))
    return Warp(
        d=len(warped),
        indices=np.flatnonzero(warped).tolist(),
        batch_shape=batch,
        bounds=torch.stack([torch.zeros(len(warped)), torch.ones(len(warped))]).double(),
        concentration0_prior=concentration,
        concentration1_prior=concentration,
    )


def _hyperparameters(model: SingleTaskGP, warpable: np.ndarray, warped: bool) -> Hyperparameters:
    def array(tensor: torch.Tensor) -> np.ndarray:
        return np.asarray(tensor.detach().double().numpy())

    kernel = model.covar_module
    m, f = kernel.batch_shape[0], len(warpable)
    a, b = np.ones((m, f)), np.ones((m, f))
    if warped:
        # BoTorch's concentration1 is the inner exponent.
        a[:, warpable] = array(model.input_transform.concentration1).reshape(m, -1)
        b[:, warpable] = array(model.input_transform.concentration0).reshape(m, -1)
    return Hyperparameters(
        lengthscales=array(kernel.base_kernel.lengthscale).reshape(m, f),
        outputscale=array(kernel.outputscale).reshape(m),
        noise=array(model.likelihood.noise).reshape(m),
        warp_a=a,
        warp_b=b,
        main_share=array(kernel.base_kernel.main_share),
    )
