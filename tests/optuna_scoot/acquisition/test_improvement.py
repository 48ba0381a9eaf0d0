"""Acquisition functions against BoTorch's, Monte-Carlo, mpmath and values worked by hand."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.analytic import LogProbabilityOfImprovement
from botorch.acquisition.analytic import UpperConfidenceBound
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.models import SingleTaskGP
from botorch.utils.multi_objective.box_decompositions.non_dominated import NondominatedPartitioning
from scipy.stats import qmc

from optuna_scoot.acquisition import improvement
from optuna_scoot.pareto import non_dominated_boxes


BEST = 0.4


@pytest.fixture(scope="module")
def predicted() -> tuple[SingleTaskGP, torch.Tensor, np.ndarray, np.ndarray]:
    """A model of one minimised output, points (q, 1, 2), and its mean and deviation there."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((12, 2)))
    y = (x.sum(dim=1, keepdim=True) - 1.0) ** 2 + 0.3
    model = SingleTaskGP(x, y, train_Yvar=torch.full_like(y, 1e-4), outcome_transform=None).eval()
    points = torch.from_numpy(rng.random((200, 1, 2)))
    with torch.no_grad():
        posterior = model.posterior(points)
    return (
        model,
        points,
        posterior.mean.numpy().reshape(-1),
        posterior.variance.sqrt().numpy().reshape(-1),
    )


def _double(value: float) -> torch.Tensor:
    # BoTorch would hold a Python number in single precision.
    return torch.tensor(value, dtype=torch.float64)


def test_ucb_is_botorchs_with_beta_kappa_squared(
    predicted: tuple[SingleTaskGP, torch.Tensor, np.ndarray, np.ndarray],
) -> None:
    model, points, mean, std = predicted
    with torch.no_grad():
        expected = UpperConfidenceBound(model, beta=_double(1.7**2), maximize=False)(points)

    np.testing.assert_allclose(
        improvement.upper_confidence_bound(mean, std, 1.7), expected.numpy(), atol=1e-10
    )


def test_log_pi_is_botorchs(
    predicted: tuple[SingleTaskGP, torch.Tensor, np.ndarray, np.ndarray],
) -> None:
    model, points, mean, std = predicted
    for xi in (0.0, improvement.XI, 0.1):
        with torch.no_grad():
            expected = LogProbabilityOfImprovement(model, _double(BEST - xi), maximize=False)(
                points
            )
        np.testing.assert_allclose(
            improvement.log_probability_of_improvement(mean, std, BEST, xi),
            expected.numpy(),
            rtol=1e-8,
        )


def test_log_ei_is_botorchs(
    predicted: tuple[SingleTaskGP, torch.Tensor, np.ndarray, np.ndarray],
) -> None:
    model, points, mean, std = predicted
    for xi in (0.0, improvement.XI, 0.1):
        with torch.no_grad():
            expected = LogExpectedImprovement(model, _double(BEST - xi), maximize=False)(points)
        np.testing.assert_allclose(
            improvement.log_expected_improvement(mean, std, BEST, xi),
            expected.numpy(),
            rtol=1e-6,
        )


def test_xi_is_the_papers() -> None:
    mean, std = np.array([0.5]), np.array([0.2])

    assert improvement.XI == 1e-4
    assert improvement.log_expected_improvement(mean, std, 0.4001) == pytest.approx(
        improvement.log_expected_improvement(mean, std, 0.4, xi=0.0)
    )
    assert improvement.log_probability_of_improvement(mean, std, 0.4001) == pytest.approx(
        improvement.log_probability_of_improvement(mean, std, 0.4, xi=0.0)
    )


def _exact_log_h(u: float) -> float:
    with mpmath.workdps(60):
        x = mpmath.mpf(u)
        return float(mpmath.log(mpmath.npdf(x) + x * mpmath.ncdf(x)))


@pytest.mark.parametrize("u", [50.0, 8.0, 1.0, 0.0, -0.5, -1.0, -1.0000001, -3.0, -20.0])
def test_log_ei_is_exact_near_the_incumbent(u: float) -> None:
    value = improvement.log_expected_improvement(np.array([-u]), np.array([1.0]), 0.0, xi=0.0)

    assert value[0] == pytest.approx(_exact_log_h(u), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("u", [-30.0, -99.0, -999.0, -1001.0, -5000.0, -1e5, -1e8])
def test_log_ei_is_sound_where_ei_underflows(u: float) -> None:
    # The asymptote, log(φ(u) / u²), has a relative error of about 3 / u².
    value = improvement.log_expected_improvement(np.array([-u]), np.array([1.0]), 0.0, xi=0.0)[0]
    asymptote = -0.5 * u**2 - 0.5 * math.log(2 * math.pi) - 2 * math.log(-u)

    assert value == pytest.approx(asymptote, abs=4 / u**2, rel=1e-12)
    if u > -1e3:
        with mpmath.workdps(500):
            x = mpmath.mpf(u)
            exact = mpmath.log(mpmath.npdf(x) - (-x) * mpmath.ncdf(x))
        assert value == pytest.approx(float(exact), rel=1e-9)


def test_log_ei_and_log_pi_rise_towards_the_incumbent_without_plateaus() -> None:
    means = np.concatenate([np.geomspace(1e6, 1e-3, 400), [0.0], -np.geomspace(1e-3, 10.0, 100)])
    std = np.ones_like(means)

    for function in (
        improvement.log_expected_improvement,
        improvement.log_probability_of_improvement,
    ):
        values = function(means, std, 0.0)
        assert np.all(np.isfinite(values))
        if function is improvement.log_expected_improvement:
            assert np.all(np.diff(values) > 0.0)
        else:
            assert np.all(np.diff(values) >= 0.0)


def test_improvements_of_1e_minus_300_keep_their_size() -> None:
    # EI = std h(u): a deviation of 1e-300 at the incumbent gives 1e-300 / sqrt(2π).
    value = improvement.log_expected_improvement(np.zeros(1), np.array([1e-300]), 0.0, xi=0.0)

    assert value[0] == pytest.approx(-300 * math.log(10) - 0.5 * math.log(2 * math.pi))


@pytest.mark.parametrize(
    ("mean", "std", "level"),
    [(0.0, 1.0, 1.0), (1.0, 0.5, 2.0), (1.0, 0.5, 5.0), (-2.0, 1.5, 0.05), (3.0, 0.2, 18.0)],
)
def test_log_normal_ei_is_the_monte_carlo_mean(mean: float, std: float, level: float) -> None:
    normal = qmc.MultivariateNormalQMC(np.zeros(1), rng=np.random.default_rng(1))
    sample = np.exp(mean + std * normal.random(2**17)[:, 0])
    expected = np.maximum(level - sample, 0.0).mean()
    value = improvement.log_expected_improvement_lognormal(
        np.array([mean]), np.array([std]), level
    )

    assert math.exp(value[0]) == pytest.approx(expected, rel=1e-3)


def _exact_log_put(mean: float, std: float, level: float) -> float:
    with mpmath.workdps(400):
        m, s, k = mpmath.mpf(mean), mpmath.mpf(std), mpmath.mpf(level)
        a = (mpmath.log(k) - m) / s
        put = k * mpmath.ncdf(a) - mpmath.exp(m + s * s / 2) * mpmath.ncdf(a - s)
        return float(mpmath.log(put))


@pytest.mark.parametrize(
    ("mean", "std", "level"),
    [
        (0.0, 1.0, math.exp(-30.0)),
        (0.0, 0.1, math.exp(-2.5)),
        (0.0, 0.01, math.exp(-0.3)),
        (0.0, 2.0, math.exp(50.0)),
        (0.0, 1e-3, math.exp(-0.02)),
        (10.0, 0.5, math.exp(9.99)),
        (10.0, 0.5, math.exp(10.01)),
        (-300.0, 1.0, math.exp(-301.0)),
    ],
)
def test_log_normal_ei_is_exact_in_the_tails(mean: float, std: float, level: float) -> None:
    value = improvement.log_expected_improvement_lognormal(
        np.array([mean]), np.array([std]), level
    )

    assert value[0] == pytest.approx(_exact_log_put(mean, std, level), abs=1e-6, rel=1e-9)


def test_log_normal_ei_stays_finite_and_ordered_far_out() -> None:
    means = np.linspace(0.0, 1e4, 200)
    values = improvement.log_expected_improvement_lognormal(means, np.full(200, 0.5), 1.0)

    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) < 0.0)


def test_kappa_by_hand() -> None:
    # t = 1: τ = 2 log(π² / 0.03) = 2 · 5.796018; κ = sqrt(5.796018) = 2.407492.
    assert improvement.kappa(1, 2) == pytest.approx(2.407492, abs=1e-6)
    # t = 10, d = 9: 9/2 + 2 = 6.5, 6.5 log 10 = 14.966803; κ = sqrt(20.762821) = 4.556624.
    assert improvement.kappa(10, 9) == pytest.approx(4.556624, abs=1e-6)
    # ν = 2 and δ = 0.1: τ = 2 (3 log 4 + log(π² / 0.3)) = 2 · 7.652316; κ = sqrt(30.609263).
    assert improvement.kappa(4, 2, nu=2.0, delta=0.1) == pytest.approx(5.532564, abs=1e-6)


def _deterministic(point: list[float]) -> improvement.LogImprovement:
    """Give log(max(K - y, 0)) of a point that is known without doubt."""

    def log_improvement(j: int, levels: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(levels - point[j], 0.0))[np.newaxis, :]

    return log_improvement


@pytest.mark.parametrize(
    ("front", "reference", "point", "gain"),
    [
        # Dominated by (1,3), (2,2), (3,1) up to (4,4): 3 + 2 + 1. The point (1.5, 1.5) dominates
        # 2.5² = 6.25, of which 2.5 (above 3) + 2 (right of 2) + 0.5 (right of 3) are old.
        ([[1, 3], [2, 2], [3, 1]], [4, 4], [1.5, 1.5], 1.25),
        # It dominates the whole 4 x 4 box, of which 6 are old.
        ([[1, 3], [2, 2], [3, 1]], [4, 4], [0.0, 0.0], 10.0),
        ([[1, 3], [2, 2], [3, 1]], [4, 4], [2.5, 2.5], 0.0),
        ([[1, 3], [2, 2], [3, 1]], [4, 4], [5.0, 0.0], 0.0),
        ([[1, 3], [2, 2], [3, 1]], [4, 4], [3.5, 0.5], 0.25),
        # Nothing beats the reference yet: the whole box counts.
        ([[5, 5]], [4, 4], [1.0, 3.0], 3.0),
        # Three objectives: 1.5 · 0.5 · 1.5 less the old [1, 2] x [1.5, 2] x [1, 2].
        ([[1, 1, 1]], [2, 2, 2], [0.5, 1.5, 0.5], 0.625),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2, 2, 2], [1.0, 1.0, 1.0], 0.0),
        # Old are three boxes of 2 that share the same 1: 6 - 3 + 1 = 4 of 8.
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2, 2, 2], [0.0, 0.0, 0.0], 4.0),
    ],
)
def test_hypervolume_improvement_by_hand(
    front: list[list[float]], reference: list[float], point: list[float], gain: float
) -> None:
    boxes = non_dominated_boxes(np.array(front, dtype=float), np.array(reference, dtype=float))
    value = improvement.log_expected_hypervolume_improvement(_deterministic(point), *boxes)

    assert math.exp(value[0]) == pytest.approx(gain, abs=1e-12)


@pytest.mark.parametrize("n_objectives", [2, 3, 4])
def test_boxes_cut_what_no_value_dominates_into_disjoint_parts(n_objectives: int) -> None:
    rng = np.random.default_rng(n_objectives)
    values, reference = rng.random((15, n_objectives)), np.full(n_objectives, 0.9)
    lower, upper = non_dominated_boxes(values, reference)
    points = rng.random((4000, n_objectives)) * 1.1 - 0.1

    inside = np.all((points[:, None] > lower) & (points[:, None] < upper), axis=2).sum(axis=1)
    dominated = np.any(np.all(values[None] <= points[:, None], axis=2), axis=1)
    beyond = np.any(points >= reference, axis=1)
    np.testing.assert_array_equal(inside, np.where(dominated | beyond, 0, 1))


def test_with_many_objectives_the_large_of_these_parts_are_left() -> None:
    rng = np.random.default_rng(6)
    values, reference = 0.3 + 0.7 * rng.random((30, 6)), np.full(6, 1.1)
    lower, upper = non_dominated_boxes(values, reference)
    points = rng.random((4000, 6)) * 1.1

    inside = np.all((points[:, None] > lower) & (points[:, None] < upper), axis=2).sum(axis=1)
    dominated = np.any(np.all(values[None] <= points[:, None], axis=2), axis=1)
    assert inside[dominated].max() == 0
    assert inside.max() == 1
    assert inside[~dominated].mean() > 0.7
    assert len(lower) < 1000  # all of it takes thousands


@pytest.mark.parametrize("n_objectives", [2, 3])
def test_log_ehvi_is_botorchs(n_objectives: int) -> None:
    rng = np.random.default_rng(n_objectives)
    x, values = rng.random((10, 2)), rng.random((10, n_objectives))
    reference = np.full(n_objectives, 0.8)
    # BoTorch maximises: its model is of the negative values.
    y = torch.from_numpy(-values)
    model = SingleTaskGP(
        torch.from_numpy(x), y, train_Yvar=torch.full_like(y, 1e-4), outcome_transform=None
    ).eval()
    points = torch.from_numpy(rng.random((60, 1, 2)))
    partitioning = NondominatedPartitioning(ref_point=-torch.from_numpy(reference), Y=y)
    ehvi = ExpectedHypervolumeImprovement(model, (-reference).tolist(), partitioning)
    with torch.no_grad():
        expected = ehvi(points).numpy()
        posterior = model.posterior(points)
    mean = -posterior.mean.numpy()[:, 0]
    std = posterior.variance.sqrt().numpy()[:, 0]

    def log_improvement(j: int, levels: np.ndarray) -> np.ndarray:
        return improvement.log_expected_improvement(mean[:, [j]], std[:, [j]], levels, xi=0.0)

    boxes = non_dominated_boxes(values, reference)
    value = improvement.log_expected_hypervolume_improvement(log_improvement, *boxes)
    np.testing.assert_allclose(np.exp(value), expected, rtol=1e-6, atol=1e-15)


def test_log_ehvi_tells_points_apart_where_ehvi_underflows() -> None:
    values, reference = np.array([[1.0, 3.0], [3.0, 1.0]]), np.array([4.0, 4.0])
    mean, std = np.array([[60.0, 60.0], [50.0, 50.0], [50.0, 49.0]]), 1.0

    def log_improvement(j: int, levels: np.ndarray) -> np.ndarray:
        return improvement.log_expected_improvement(
            mean[:, [j]], np.full((3, 1), std), levels, xi=0.0
        )

    boxes = non_dominated_boxes(values, reference)
    value = improvement.log_expected_hypervolume_improvement(log_improvement, *boxes)
    assert np.all(np.isfinite(value))
    assert value[0] < value[1] < value[2] < -1000
