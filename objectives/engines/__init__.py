"""Inference engines an objective can start: the real vLLM, and a simulated engine."""
