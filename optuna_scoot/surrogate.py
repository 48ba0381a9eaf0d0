"""Surrogate: one independent Gaussian process an output (paper, section IV-C, eq. 4 to 6).

The kernel is Matérn 3/2 with one length scale a feature (ARD), on inputs warped by the
Kumaraswamy distribution function where asked (Snoek et al., ICML 2014), plus white noise. BoTorch
and GPyTorch find the hyper-parameters, all outputs in one batch; what they find is then held in
NumPy arrays, where the exact prediction at thousands of points is two matrix products.

Notation
    n: number of observations; f: number of features; m: number of outputs; q: points predicted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

import numpy as np
import threadpoolctl
from scipy.linalg import cho_solve
from scipy.linalg import solve_triangular


_WARP_MARGIN = 1e-7  # BoTorch's: the warping function has no derivative at 0 and 1


@dataclass(frozen=True)
class KernelChoice:
    """How the Gaussian processes are built.

    Args:
        nu: Smoothness of the Matérn kernel, 1.5 (the paper's) or 2.5.
        warp: Whether inputs with more than two levels are warped.
        lengthscale_median: Of the log-normal prior of a number's length scale, in units of the
            cube.
        level_lengthscale_median: The same of a categorical's: another level leaves more of what
            was learnt valid than a number at the other end of its range.
        lengthscale_spread: Standard deviation of that prior's logarithm.
        max_iterations: Of the L-BFGS-B search for the hyper-parameters.
        tolerance: Relative gain of one iteration below which that search ends.
    """

    nu: float = 1.5
    warp: bool = False
    lengthscale_median: float = 0.7
    level_lengthscale_median: float = 2.0
    lengthscale_spread: float = 0.8
    max_iterations: int = 50
    tolerance: float = 1e-4


@dataclass(frozen=True)
class Hyperparameters:
    """What a fit finds, for m outputs and f features.

    Args:
        lengthscales: Shape (m, f).
        outputscale: Signal variance, shape (m,).
        noise: Variance of the white noise, shape (m,).
        warp_a: First concentration of the warping, shape (m, f); 1 leaves a feature unwarped.
        warp_b: Second concentration, shape (m, f).
    """

    lengthscales: np.ndarray
    outputscale: np.ndarray
    noise: np.ndarray
    warp_a: np.ndarray
    warp_b: np.ndarray


@dataclass(frozen=True)
class Surrogate:
    """m fitted Gaussian processes on n observations.

    Args:
        x: Features, shape (n, f).
        y: Standardised outputs, shape (n, m).
        hyperparameters: Of the kernels.
        nu: Smoothness of the Matérn kernel.
    """

    x: np.ndarray
    y: np.ndarray
    hyperparameters: Hyperparameters
    nu: float = 1.5
    _factors: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(
        default_factory=list, repr=False
    )

    def __post_init__(self) -> None:
        h = self.hyperparameters
        for j in range(self.y.shape[1]):
            inputs = self._scaled(self.x, j)
            covariance = h.outputscale[j] * matern(inputs, inputs, self.nu)
            covariance[np.diag_indices_from(covariance)] += h.noise[j]
            lower = _cholesky(covariance)
            weights = cho_solve((lower, True), self.y[:, j])
            self._factors.append((inputs, lower, weights))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict the noise-free outputs (paper, eq. 5 and 6).

        Args:
            x: Features, shape (q, f).

        Returns:
            Mean and standard deviation, each of shape (q, m).
        """
        h = self.hyperparameters
        mean = np.empty((len(x), self.y.shape[1]))
        variance = np.empty_like(mean)
        for j, (inputs, lower, weights) in enumerate(self._factors):
            cross = h.outputscale[j] * matern(self._scaled(x, j), inputs, self.nu)
            mean[:, j] = cross @ weights
            half = solve_triangular(lower, cross.T, lower=True, check_finite=False)
            variance[:, j] = h.outputscale[j] - np.einsum("nq,nq->q", half, half)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def believing(self, pending: np.ndarray) -> Surrogate:
        """Add pending points as if the prediction there had been observed (Kriging believer).

        Means stay what they were; deviations shrink around the pending points.

        Args:
            pending: Features, shape (p, f).
        """
        if len(pending) == 0:
            return self
        believed, _ = self.predict(pending)
        return replace(
            self,
            x=np.concatenate([self.x, pending]),
            y=np.concatenate([self.y, believed]),
            _factors=[],
        )

    def _scaled(self, x: np.ndarray, j: int) -> np.ndarray:
        h = self.hyperparameters
        return np.asarray(kumaraswamy(x, h.warp_a[j], h.warp_b[j]) / h.lengthscales[j])


def kumaraswamy(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give 1 - (1 - x^a)^b, the warping of inputs in [0, 1]; a = b = 1 leaves x as it is."""
    if np.all(a == 1.0) and np.all(b == 1.0):
        return x
    inner = np.clip(x, 0.0, 1.0) * (1.0 - 2.0 * _WARP_MARGIN) + _WARP_MARGIN
    return np.asarray(1.0 - (1.0 - inner**a) ** b)


def matern(x1: np.ndarray, x2: np.ndarray, nu: float) -> np.ndarray:
    """Give the Matérn correlation of scaled points (q, f) and (n, f): shape (q, n)."""
    squared = (x1**2).sum(1)[:, None] + (x2**2).sum(1)[None, :] - 2.0 * (x1 @ x2.T)
    r = math.sqrt(2.0 * nu) * np.sqrt(np.maximum(squared, 0.0))
    polynomial = 1.0 + r if nu == 1.5 else 1.0 + r + r**2 / 3.0
    return np.asarray(polynomial * np.exp(-r))


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    scale = float(np.mean(np.diag(covariance)))
    for jitter in (0.0, 1e-8, 1e-6, 1e-4):
        try:
            return np.linalg.cholesky(covariance + jitter * scale * np.eye(len(covariance)))
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("The covariance matrix is not positive definite.")


def fit_surrogate(
    x: np.ndarray, y: np.ndarray, is_level: np.ndarray, choice: KernelChoice
) -> Surrogate:
    """Fit m Gaussian processes to n observations.

    Args:
        x: Features in [0, 1], shape (n, f), n ≥ 1.
        y: Standardised outputs, shape (n, m).
        is_level: Which features are levels of a categorical, Booleans (f,); they are not warped.
        choice: The kernel.

    Returns:
        The surrogate. With fewer than two distinct outputs, or where the fit fails, it holds the
        hyper-parameters of the priors' medians instead of fitted ones.
    """
    m, f = y.shape[1], x.shape[1]
    medians = np.where(is_level, choice.level_lengthscale_median, choice.lengthscale_median)
    fitted = _prior_hyperparameters(m, f, medians)
    if len(x) >= 2 and np.any(np.ptp(y, axis=0) > 0.0):
        fitted = _maximum_a_posteriori(x, y, ~is_level, medians, choice) or fitted
    return Surrogate(x, y, fitted, choice.nu)


def _prior_hyperparameters(m: int, f: int, medians: np.ndarray) -> Hyperparameters:
    ones = np.ones((m, f))
    return Hyperparameters(ones * medians, np.ones(m), np.full(m, 1e-3), ones, ones)


def _maximum_a_posteriori(
    x: np.ndarray,
    y: np.ndarray,
    warpable: np.ndarray,
    medians: np.ndarray,
    choice: KernelChoice,
) -> Hyperparameters | None:
    """Search the hyper-parameters' mode; None where every try fails numerically."""
    from botorch.exceptions.errors import ModelFittingError
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from linear_operator.utils.errors import NanError
    from linear_operator.utils.errors import NotPSDError

    for warp in [True, False] if choice.warp and warpable.any() else [False]:
        model = _model(x, y, np.flatnonzero(warpable) if warp else None, medians, choice)
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        mll.train()
        try:
            with single_thread(), warnings.catch_warnings():
                # Reaching the iteration limit is the normal end here, not a failure.
                warnings.simplefilter("ignore")
                fit_gpytorch_mll_scipy(mll, options=_search_options(choice, y.shape[1]))
        except (NotPSDError, NanError, ModelFittingError, RuntimeError, ValueError):
            continue
        found = _hyperparameters(model, warpable, warp)
        if all(np.all(np.isfinite(value)) for value in vars(found).values()):
            return found
    return None


def _search_options(choice: KernelChoice, n_outputs: int) -> dict[str, Any]:
    options: dict[str, Any] = {"maxiter": choice.max_iterations, "ftol": choice.tolerance}
    if n_outputs > 1:
        # BoTorch's batched search has a default of its own for the same criterion.
        options["factr"] = None
    return options


def _model(
    x: np.ndarray,
    y: np.ndarray,
    warped: np.ndarray | None,
    medians: np.ndarray,
    choice: KernelChoice,
) -> Any:
    """Build the batch of m GPyTorch models, all on the same inputs."""
    import torch
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Warp
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import MaternKernel
    from gpytorch.kernels import ScaleKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.means import ZeroMean
    from gpytorch.priors import GammaPrior
    from gpytorch.priors import LogNormalPrior

    m, f = y.shape[1], x.shape[1]
    batch = torch.Size([m])
    spread = torch.full((f,), choice.lengthscale_spread, dtype=torch.double)
    lengthscale_prior = LogNormalPrior(torch.from_numpy(np.log(medians)), spread)
    kernel = ScaleKernel(
        MaternKernel(
            nu=choice.nu,
            ard_num_dims=f,
            batch_shape=batch,
            lengthscale_prior=lengthscale_prior,
            lengthscale_constraint=GreaterThan(0.025, initial_value=torch.from_numpy(medians)),
        ),
        batch_shape=batch,
        outputscale_prior=GammaPrior(2.0, 1.0),
        outputscale_constraint=GreaterThan(1e-3, initial_value=1.0),
    )
    likelihood = GaussianLikelihood(
        noise_prior=LogNormalPrior(-5.0, 1.5),
        noise_constraint=GreaterThan(1e-6, initial_value=1e-2),
        batch_shape=batch,
    )
    warp = None
    if warped is not None:
        concentration = LogNormalPrior(0.0, math.sqrt(0.75))
        warp = Warp(
            d=f,
            indices=warped.tolist(),
            batch_shape=batch,
            bounds=torch.stack([torch.zeros(f), torch.ones(f)]).double(),
            concentration0_prior=concentration,
            concentration1_prior=concentration,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "not standardized": an output may be constant
        return SingleTaskGP(
            torch.from_numpy(x).double().expand(m, *x.shape).contiguous(),
            torch.from_numpy(y.T.copy()).double().unsqueeze(-1),
            likelihood=likelihood,
            covar_module=kernel,
            # The observations crowd where values are good: a fitted mean would be the level of the
            # few bad ones far away, and all that is unknown would look as bad as they.
            mean_module=ZeroMean(batch_shape=batch),
            input_transform=warp,
            outcome_transform=None,
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
    )


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep torch and BLAS to one thread: on matrices this small more of them only wait."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)
