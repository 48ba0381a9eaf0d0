"""Gaussian processes that learn the objectives (paper, section IV-C).

gaussian_process  the surrogate: prediction, several outputs, believed points
kernel            covariance, hyper-parameters and their priors
mode              the most likely hyper-parameters, by BoTorch
outputs           measured values to standardised ones and back
"""
