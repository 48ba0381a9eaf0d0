"""Acquisition functions: how promising a configuration is (paper, sections IV-D and IV-E).

improvement  UCB, PI, EI and EHVI by their formulas
score        these on a model, weighed by constraints, POF and crashes
"""
