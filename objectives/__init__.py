"""Objectives that launch an LLM inference engine with a trial's parameters and measure it."""
