"""Samplers run on problems, resumably."""
