"""Gaussian processes that learn the objectives (paper, section IV-C).

gaussian_process  the surrogate: prediction, several outputs, believed points
kernel            covariance, hyper-parameters and their priors
fitting           the hyper-parameters: their mode by BoTorch, and draws around it
outputs           measured values to standardised ones and back
"""
