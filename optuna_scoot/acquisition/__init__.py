"""Acquisition functions: how promising a configuration is (paper, sections IV-D and IV-E)."""
