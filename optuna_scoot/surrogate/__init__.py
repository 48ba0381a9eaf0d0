"""Gaussian processes that learn the objectives (paper, section IV-C)."""
